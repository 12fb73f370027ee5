"""Taking what a model wrote apart: its thoughts, its response, and how its thoughts ended.

| state    | means                                                                            |
|----------|----------------------------------------------------------------------------------|
| none     | no thoughts                                                                      |
| closed   | thoughts between their marks, then the response                                  |
| empty    | the marks with nothing but white space between them                              |
| cut_off  | the model reached its limit of tokens inside the thoughts                        |
| unclosed | the model ended its turn inside the thoughts                                     |
| reopened | after the thoughts were closed, an opening or a closing mark comes again: which  |
|          | part is the response can't be told                                               |

Thoughts begin with the opening mark, at the very start of the text, or with the text itself where
the prompt ends with that mark. They end with the first closing mark after it: an opening mark
among the thoughts is a part of them. Elsewhere a mark is an ordinary text, such as in a response
about `<think>`.

White space around the thoughts and before the response belongs to the marks. A text without
thoughts is the response, unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from prefdata.messages.marks import Marks, match_any

STATES = ("none", "closed", "empty", "cut_off", "unclosed", "reopened")
FAULTS = {
    "cut_off": "the thoughts were cut off before a response came: raise max_tokens, or have the "
    "model think less (chat_template_kwargs: enable_thinking, reasoning_effort)",
    "unclosed": "the model ended its turn inside its thoughts: raise max_tokens or change the "
    "sampling; if these are no thoughts, set models.NAME.thoughts to the model's own marks or none",
    "reopened": "a mark of thoughts comes again after they were closed: change the sampling; if it "
    "is a part of the response, set models.NAME.thoughts to the model's own marks or none",
}
"""States without a sound response: what was found and what to change."""

PARTS = ("lead", "thoughts", "seam", "response")
_SPACE = r"\s*"
_NOTHING = pl.lit(None, dtype=pl.String)


def cut_texts(texts: pl.DataFrame, formats: Sequence[Marks]) -> pl.DataFrame:
    r"""Cut texts at the marks of their thoughts.

    `<think>\nIt rains.\n</think>\n\nNo.` becomes lead `<think>\n`, thoughts `It rains.`, seam
    `\n</think>\n\n` and response `No.`

    Args:
        texts: row (a number) and text (what a model wrote; not null).
        formats: The formats that the texts may have, one each.

    Returns:
        row and PARTS: a row per text with marks. The parts, joined, are the text. Without a
        closing mark `seam` and `response` are null; after a bare mark `thoughts` and `seam` are.
    """
    cut = []
    for marks in formats:
        begun = texts.select(begun=_begins(marks))["begun"]
        if begun.any():
            cut.append(texts.filter(begun).select("row", parts=_cut(marks)).unnest("parts"))
            texts = texts.filter(~begun)
    if cut:
        return pl.concat(cut).sort("row")
    return pl.DataFrame(schema={"row": texts.schema["row"], **dict.fromkeys(PARTS, pl.String)})


def _begins(marks: Marks) -> pl.Expr:
    """Whether a text begins with thoughts, or with the bare mark."""
    text = pl.col("text")
    if marks.opens:
        return text.is_not_null()
    first = match_any([mark for mark in (marks.open, marks.bare) if mark])
    # An anchored pattern costs next to nothing on a text that begins otherwise.
    begins = text.str.contains(rf"\A{_SPACE}{first}")
    if marks.opens is False:
        return begins
    closing = text.str.find(match_any(marks.close))
    opening = text.str.find(marks.open, literal=True)
    return begins | (closing.is_not_null() & (opening.is_null() | (closing < opening)))


def _cut(marks: Marks) -> pl.Expr:
    """PARTS, of texts that begin with thoughts or with the bare mark."""
    opened = f"{_SPACE}{match_any([marks.open])}{_SPACE}"
    # Where the prompt ends with the opening mark, some models write it again all the same.
    lead = opened if marks.opens is False else f"(?:{opened}|{_SPACE})"
    closed = _extract(f"({lead})(.*?)({_SPACE}{match_any(marks.close)}{_SPACE})(.*)")
    unclosed = _extract(f"({lead})(.*)")
    bare = _extract(f"({_SPACE}{match_any([marks.bare])})(.*)")
    cut = (
        pl.when(closed.struct.field("1").is_not_null())
        .then(pl.struct(closed.struct.field(str(n)).alias(name) for n, name in enumerate(PARTS, 1)))
        .otherwise(
            pl.struct(
                lead=unclosed.struct.field("1"),
                thoughts=unclosed.struct.field("2"),
                seam=_NOTHING,
                response=_NOTHING,
            )
        )
    )
    if not marks.bare:
        return cut
    without = pl.struct(
        lead=bare.struct.field("1"),
        thoughts=_NOTHING,
        seam=_NOTHING,
        response=bare.struct.field("2"),
    )
    return pl.when(bare.struct.field("1").is_not_null()).then(without).otherwise(cut)


def _extract(pattern: str) -> pl.Expr:
    """The groups of a pattern that matches the whole text, null where it does not."""
    return pl.col("text").str.extract_groups(rf"(?s)\A{pattern}\z")


def split_thoughts(results: pl.DataFrame, formats: Sequence[Marks]) -> pl.DataFrame:
    """Take the results of `generate` apart into thoughts and response.

    Args:
        results: text, thoughts (not null where a server gave them apart), tool_calls,
            n_thought_tokens, finish_reason, and any other columns.
        formats: The formats that the texts may have, one each; none: no text is cut.

    Returns:
        The results, in their order, with `raw_text` (all that the model wrote; null where `text`
        is all of it, or where a server took it apart) and `state`, one of STATES (null where there
        is no text).
    """
    rows = results.with_row_index("row")
    whole = pl.col("text").is_not_null() & pl.col("thoughts").is_null()
    cut = cut_texts(
        (rows.filter(whole) if formats else rows.clear()).select("row", "text"), formats
    )
    # A server that takes responses apart gives no text where the thoughts never ended.
    silent = (pl.col("text") == "") & pl.col("tool_calls").is_null()
    if not cut.height:
        state = _name_state(silent, pl.lit(False))
        return results.with_columns(state, raw_text=_NOTHING)
    cut = cut.rename({name: f"cut_{name}" for name in PARTS})
    marks = [mark for each in formats for mark in (each.open, *each.close)]
    is_cut, response = pl.col("cut_lead").is_not_null(), pl.col("cut_response")
    again = pl.col("cut_thoughts").is_not_null() & response.str.contains_any(marks)
    return (
        rows.join(cut, on="row", how="left", maintain_order="left")
        .with_columns(
            text=pl.when(is_cut).then(response.fill_null("")).otherwise("text"),
            thoughts=pl.coalesce("cut_thoughts", "thoughts"),
            raw_text=pl.when(is_cut).then("text"),
            unended=pl.when(is_cut).then(response.is_null()).otherwise(silent),
        )
        .with_columns(_name_state(pl.col("unended"), again.fill_null(False)))
        .drop("row", "unended", *cut.columns[1:])
    )


def split_faults(results: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split off the results whose thoughts are at fault.

    Returns:
        (the others, those with `reason`, such as thoughts_cut_off, and `detail`).
    """
    faulty = pl.col("state").is_in(list(FAULTS)).fill_null(False)
    return results.filter(~faulty), results.filter(faulty).with_columns(
        reason=pl.format("thoughts_{}", "state"),
        detail=pl.col("state").replace_strict(FAULTS, return_dtype=pl.String),
    )


def _name_state(unended: pl.Expr, reopened: pl.Expr) -> pl.Expr:
    """`state`, of results whose text and thoughts are apart.

    Args:
        unended: Whether the thoughts, if there are any, never ended.
        reopened: Whether a mark comes again after they were closed.
    """
    state = (
        pl.when(pl.col("thoughts").is_null())
        .then(pl.lit("none"))
        .when(unended & (pl.col("finish_reason") == "length"))
        .then(pl.lit("cut_off"))
        .when(unended)
        .then(pl.lit("unclosed"))
        .when(reopened)
        .then(pl.lit("reopened"))
        .when(pl.col("thoughts") == "")
        .then(pl.lit("empty"))
        .otherwise(pl.lit("closed"))
    )
    return pl.when(pl.col("text").is_not_null()).then(state).alias("state")
