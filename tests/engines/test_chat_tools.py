"""Tools in a chat template: shown, or refused where the template leaves them out."""

from __future__ import annotations

from typing import Any, ClassVar

import polars as pl
from jinja2 import Environment

from prefdata.engines.chat import Prompts
from prefdata.engines.encoding import Encoder

TOOLS = '[{"function":{"name":"f"},"type":"function"}]'
PLAIN = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
WITH_TOOLS = "{% for tool in tools or [] %}{{ tool.function.name }}\n{% endfor %}" + PLAIN


class Tokenizer:
    """A token a character, and a template."""

    added_tokens_decoder: ClassVar[dict[int, Any]] = {}
    all_special_tokens = ()

    def __init__(self, template: str) -> None:
        self.chat_template = template
        self.template = Environment().from_string(template)

    def apply_chat_template(self, messages: Any, tools: Any = None, **arguments: Any) -> str:
        return self.template.render(messages=messages, tools=tools)

    def __call__(self, text: str, add_special_tokens: bool) -> dict[str, list[int]]:
        return {"input_ids": [ord(char) for char in text]}


def render(template: str, *tools: str | None) -> Prompts:
    messages = [[{"role": "user", "content": "Hi"}]] * len(tools)
    rows = pl.DataFrame({"messages": messages, "tools": pl.Series(tools, dtype=pl.String)})
    return Prompts(Encoder(Tokenizer(template)), rows)


def test_a_template_that_shows_no_tools_is_refused_where_there_are_any() -> None:
    prompts = render(PLAIN, TOOLS, None)
    assert prompts.errors == {0: "refused: the chat template shows no tools"}
    assert prompts.ids[0] == []
    assert bytes(prompts.ids[1]) == b"user: Hi\n"


def test_tools_are_a_part_of_the_rendered_prompt() -> None:
    prompts = render(WITH_TOOLS, TOOLS, None)
    assert not prompts.errors
    assert [bytes(ids) for ids in prompts.ids] == [b"f\nuser: Hi\n", b"user: Hi\n"]
