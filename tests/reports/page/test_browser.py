"""Pages in a headless Chromium: nothing in their texts runs, and all can be reached and read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from prefdata.reports.base import Grid
from prefdata.reports.figures.distributions import draw_distribution
from prefdata.reports.figures.drawing import write_svg
from prefdata.reports.page import content
from prefdata.reports.page.render import write_html
from prefdata.reports.page.rows import EMPTY

pytestmark = pytest.mark.browser

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
).split()
HOSTILE = (
    "<script>window.ran=1</script>",
    "</script><script>window.ran=2</script>",
    "<!--<script>",
    '"><img src=x onerror="window.ran=3">',
    "<svg onload=window.ran=4><animate onbegin=window.ran=5 /></svg>",
    "{{constructor.constructor('window.ran=6')()}} ${window.ran=7} #{window.ran=8}",
    "<iframe srcdoc='<script>parent.ran=9</script>'></iframe><base href=//x><style>*{all:unset}",
    "javascript:window.ran=10",
)
TURNING = "left\u202eright\u200b\u2066\x1b[31m"
ALL = "\n".join((*HOSTILE, TURNING))


def make_row(number: int, **changes: Any) -> dict[str, Any]:
    judgment = {
        **dict.fromkeys(("annotator", "group", "unscored", "reward_chosen", "reward_rejected")),
        **dict.fromkeys(("chosen_first", "rejected_first", "trace")),
        "judge": "one" if number % 2 else "two",
        "dimension": "helpfulness",
        "preference": 0.75,
    }
    return {
        **EMPTY,
        "id": f"{number:032x}",
        "decided": True,
        "prompt": [["user", f"Question {number}?"]],
        "responses": [
            {"policy": "p", "text": text, "thoughts": None, "calls": []}
            for text in ("The old grey cat sat.", "The young cat sat down.")
        ],
        "source": "rare" if number == 70 else "common",
        "margin": number / 10,
        "judgments": [judgment],
        **changes,
    }


def make_page() -> content.Page:
    """A page of which one row and one section are hostile in all that they say."""
    spoken = dict.fromkeys(("judge", "dimension", "annotator", "group", "unscored", "trace"), ALL)
    hostile = make_row(
        0,
        prompt=[["user", ALL]],
        responses=[{"policy": ALL, "text": ALL, "thoughts": ALL, "calls": [ALL]}] * 2,
        rationales=[[ALL, ALL]],
        judgments=[{**make_row(0)["judgments"][0], **spoken}],
        **dict.fromkeys(("id", "source", "split", "strategy", "flag", "origin", "record"), ALL),
    )
    dropped = make_row(1, dropped=True, stage="filter", reason="high_ches", detail="above 1")
    figure = draw_distribution({ALL: pl.Series([1.0, 2.0]), "b": pl.Series([1.0])}, ALL)
    grid = Grid((ALL, "n"), [(ALL, "1")], [1], {ALL: ALL})
    chart = content.Chart(ALL, write_svg(figure, "hostile"), ALL, grid)
    section = content.Section("figures", ALL, ALL, [chart, grid, ALL])
    rows = [make_row(number) for number in range(2, 72)]
    return content.Page(
        ALL, ALL, [(ALL, ALL)], [section], content.Rows([*rows, dropped, hostile], ALL)
    )


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests."""
    path = os.environ.get("PREFDATA_CHROMIUM") or shutil.which("chromium")
    if path is None:
        pytest.skip("there is no chromium on the path, and PREFDATA_CHROMIUM names none")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "page.html"
    write_html(make_page(), str(path))
    return path.as_uri()


class Opened:
    """A page, with what went wrong in it and what it asked for."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.problems: list[str] = []
        self.requests: list[str] = []
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("dialog", lambda dialog: self.problems.append(dialog.message))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(address)
        page.wait_for_selector("#list button")

    def _note(self, message: ConsoleMessage) -> None:
        self.problems.append(message.text)

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        return self.page.evaluate(script)

    def read(self, selector: str) -> str:
        """The text of the first element."""
        return self.page.locator(selector).first.text_content() or ""


@pytest.fixture
def opened(browser: Browser, address: str) -> Iterator[Opened]:
    page = browser.new_page(viewport={"width": 1200, "height": 900}, color_scheme="light")
    yield Opened(page, address)
    page.close()


def test_nothing_in_texts_runs_and_all_is_shown(opened: Opened) -> None:
    opened.page.fill("#text", "window.ran=10")
    assert opened.read("#found") == "1 of the 72 rows in this page"
    for summary in opened.page.locator("#row summary").all():
        summary.click()
    opened.page.wait_for_timeout(50)
    assert opened.run("window.ran") is None
    assert opened.problems == []
    assert [url for url in opened.requests if not url.startswith(("file:", "data:"))] == []
    counts = "[...document.querySelectorAll('script, iframe, img, base, animate')].length"
    # The page's own two scripts, and the rows.
    assert opened.run(counts) == 3
    plain = ALL.replace(TURNING, "leftU+202ErightU+200BU+2066U+001B[31m")
    for place in (".chosen > .words", ".rejected > .words", "#row .box > .words", "#row pre"):
        assert opened.read(place) == plain
    assert "\u202e" not in opened.run("document.body.innerText")
    escaped = TURNING.encode("unicode_escape").decode()
    assert opened.read("h1") == ALL.replace(TURNING, escaped)


def test_words_that_differ_are_marked(opened: Opened) -> None:
    marked = "[...document.querySelectorAll('{} mark')].map(each => each.textContent)"
    assert opened.run(marked.format(".chosen")) == ["old grey"]
    assert opened.run(marked.format(".rejected")) == ["young", "down"]
    opened.page.uncheck("#differences")
    assert opened.run(marked.format(".chosen")) == []


def test_rows_are_reached_by_keys(opened: Opened) -> None:
    assert opened.read("#row h3") == "Pair 000000000000"
    current = "document.activeElement.getAttribute('aria-current')"
    for key, question in (("j", "Question 3?"), ("j", "Question 4?"), ("k", "Question 3?")):
        opened.page.keyboard.press(key)
        assert question in opened.read("#row")
        assert opened.run(current) == "true"
    opened.page.keyboard.press("/")
    assert opened.run("document.activeElement.id") == "text"
    opened.page.keyboard.type("jk")
    assert opened.page.input_value("#text") == "jk"
    assert opened.read("#found") == "No row of this page is like that. Clear a filter."


def test_rows_are_filtered(opened: Opened) -> None:
    found = {
        ("#kind", "dropped"): 1,
        ("#reason", "filter: high_ches"): 1,
        ("#source", "rare"): 1,
        ("#judge", "two"): 35,
        ("#verdict", "chosen"): 72,
        ("#verdict", "rejected"): 0,
    }
    for (selector, value), count in found.items():
        opened.page.select_option(selector, value)
        shown = opened.read("#found").split()[0]
        assert shown == (str(count) if count else "No"), selector
        opened.page.click("button[type=reset]")
        opened.page.locator("#found", has_text="72 of the 72").wait_for()
    opened.page.fill("#least", "6.95")
    assert opened.read("#found").split()[0] == "2"
    opened.page.fill("#least", "")
    opened.page.click("#later")
    assert opened.read("#place") == "page 2 of 2"


def test_every_control_is_reached_by_tab_and_has_a_name(opened: Opened) -> None:
    wanted = set(opened.run("[...document.querySelectorAll('select, input')].map(e => e.id)"))
    unnamed = "[...document.querySelectorAll('select, input')].filter(e => !e.labels.length).length"
    assert opened.run(unnamed) == 0
    reached, outlines = set(), set()
    for _ in range(40):
        opened.page.keyboard.press("Tab")
        reached.add(opened.run("document.activeElement.id"))
        outlines.add(opened.run("getComputedStyle(document.activeElement).outlineStyle"))
    assert wanted <= reached
    assert outlines == {"solid"}
    for role in ("main", "navigation", "search", "article", "contentinfo"):
        assert opened.page.get_by_role(role).count()  # type: ignore[arg-type]
    for figure in opened.page.locator("figure").all():
        assert figure.locator("figcaption").count() == figure.locator("table").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_in_both_schemes(opened: Opened, scheme: str) -> None:
    opened.page.select_option("#theme", scheme)
    shade = """(name) => {
      const probe = document.body.appendChild(document.createElement("i"));
      probe.style.color = `var(${name})`;
      const [r, g, b] = getComputedStyle(probe).color.match(/[\\d.]+/g).map(Number);
      probe.remove();
      const linear = [r, g, b].map((v) => v / 255)
        .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
      return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
    }"""
    names = ("ink", "muted", "accent", "warn", "paper", "raised", "mine", "theirs")
    light = {name: opened.page.evaluate(shade, f"--{name}") for name in names}
    assert (light["paper"] > 0.5) == (scheme == "light")
    for text, ground in [
        *((text, ground) for text in ("ink", "muted") for ground in ("paper", "raised")),
        *(("ink", ground) for ground in ("mine", "theirs")),
        ("accent", "paper"),
        ("warn", "paper"),
    ]:
        low, high = sorted((light[text], light[ground]))
        assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground)


def test_it_fits_a_phone_and_paper(opened: Opened) -> None:
    opened.page.set_viewport_size({"width": 390, "height": 844})
    assert opened.run("document.documentElement.scrollWidth") == 390
    opened.page.emulate_media(media="print", color_scheme="dark")
    assert not opened.page.is_visible("#filters")
    assert opened.page.is_visible("#row")
    assert opened.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_a_page_is_written_where_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "page.html"
    assert write_html(make_page(), str(path)) == path.stat().st_size
