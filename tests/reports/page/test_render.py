"""Pages as text: what is data stays data, and the policy names what may run."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import orjson
import pytest

from prefdata.reports.base import Grid
from prefdata.reports.page.content import Chart, Page, Rows, Section
from prefdata.reports.page.render import embed_json, render_page

HOSTILE = "<script>alert(1)</script></script><!--<b onclick='x()'>{{7*7}}${7*7}\u202e\u2028&amp;"


class Elements(HTMLParser):
    """The tags of a page, with their attributes and texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def count(page: str, tag: str) -> int:
    return sum(1 for name, _ in Elements(page).tags if name == tag)


def make_page(text: str) -> Page:
    grid = Grid((text, "n"), [(text, "1")], [1], {text: text})
    chart = Chart(text, "<svg></svg>", text, grid)
    section = Section("figures", text, text, [text, grid, chart, chart])
    return Page(text, text, [(text, text)], [section], Rows([{"id": text}], text))


def test_hostile_texts_add_no_element() -> None:
    plain, hostile = render_page(make_page("a")), render_page(make_page(HOSTILE))
    assert [tag for tag, _ in Elements(hostile).tags] == [tag for tag, _ in Elements(plain).tags]
    assert "<b onclick" not in hostile
    assert "49" not in "".join(Elements(hostile).texts)[-2_000:]
    # The direction of writing is shown, not obeyed.
    assert "\u202e" not in hostile
    assert hostile.count("\\u202e") > 9


def test_the_policy_names_every_script_and_style_and_nothing_else() -> None:
    page = render_page(make_page("a"))
    policy = next(
        attributes["content"]
        for tag, attributes in Elements(page).tags
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy
    assert policy.startswith("default-src 'none'; ")
    inline = re.findall(r"<(?:script|style)>(.*?)</(?:script|style)>", page, re.DOTALL)
    assert len(inline) == 3
    hashes = {base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in inline}
    assert set(re.findall(r"'sha256-([^']+)'", policy)) == hashes
    assert "unsafe" not in policy
    for _, attributes in Elements(page).tags:
        assert not {name for name in attributes if name.startswith("on") or name == "style"}
        assert not re.match(r"https?:|//", attributes.get("src") or attributes.get("href") or "")


@pytest.mark.parametrize("value", [HOSTILE, {"</script>": ["<!--", "\u2029"]}])
def test_embedded_json_is_the_value(value: object) -> None:
    text = str(embed_json(value))
    assert orjson.loads(text) == value
    assert not set("<>&\u2028\u2029") & set(text)


def test_a_page_without_rows_has_no_reader() -> None:
    parts = ["One finding.", Grid(("file", "rows"), [("a.jsonl", "3")], [1])]
    page = render_page(Page("Checked", sections=[Section("found", "Found", parts=parts)]))
    assert {"Checked", "One finding.", "a.jsonl"} <= set(Elements(page).texts)
    assert count(page, "table") == 1
    assert 'id="data"' not in page
    assert count(page, "script") == 1
