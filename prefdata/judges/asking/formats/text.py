"""Free text that ends in a line with the reply in double square brackets, `[[A]]`."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from prefdata.judges.asking.formats.base import WrittenFormat

_MARK = r"\[\[[ \t]*([^\[\]\r\n]*?)[ \t]*\]\]"
LAST_LINE = rf"(?:\A|\n)[ \t]*{_MARK}\s*\z"


class Text(WrittenFormat):
    """The model writes what it likes before the last line.

    No text that is judged can hold such a line (delimiters.py), so it is the judge's own also
    where it quotes a response. Contradicting replies anywhere in the text are no reply.
    """

    name = "text"

    @property
    def form(self) -> str:
        expected = self.reply.expected
        return f"no_verdict: the last line has to be {expected} in double square brackets"

    def instruct(self, rows: pl.DataFrame) -> pl.DataFrame:
        return self.append_instruction(rows)

    def extract(self, text: pl.Expr) -> pl.Expr:
        return text.str.extract(LAST_LINE)

    def reject(self, text: pl.Expr) -> pl.Expr:
        marks = text.str.extract_all(_MARK).list.eval(pl.element().str.strip_chars("[] \t"))
        alike = marks.list.eval(pl.element().filter(pl.element().str.contains(self.reply.pattern)))
        return pl.when(alike.list.n_unique() > 1).then(
            pl.lit("ambiguous_verdict: several that contradict one another are in the text")
        )

    def write(self, ranking: Sequence[str]) -> str:
        return f"[[{self.reply.write(ranking)}]]"
