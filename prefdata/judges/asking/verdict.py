"""Asking a model for one of some options, and reading which it said where it said it.

In the order in which `verdict: auto` takes what the model's engine can do:

- `logits`: the options' log-probs as the next tokens. Nothing is written, nothing can be misread.
- `choice`, `json_schema`, `regex`: the engine holds the response to the form, which is still checked.
- `text`: the model writes what it likes and ends with a line of its own, `[[A]]`. No text that is
  judged can hold such a line (delimiters.py), so it is the judge's also where it quotes a response.

Whatever else is written is no verdict: Unscored, with the reason and the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import orjson
import polars as pl
from pydantic import Field

from prefdata.engines.base import Call, Options, Requirement, Sampling, Structure
from prefdata.inference.loop import Inference
from prefdata.judges.asking.conversation import fill, template
from prefdata.judges.base import JudgeConfig

Way = Literal["auto", "logits", "choice", "json_schema", "regex", "text"]
WAYS: tuple[Way, ...] = ("logits", "choice", "json_schema", "regex", "text")

_SPACE = r"[ \t\r\n]*"
_MARK = r"\[\[[ \t]*([^\[\]\r\n]*?)[ \t]*\]\]"
LAST_LINE = rf"(?:\A|\n)[ \t]*{_MARK}\s*\z"


class AskingConfig(JudgeConfig):
    model: str = Field(description="The judge model's name under models.")
    verdict: Way = Field("auto", description="How the verdict is read; auto: as the engine can.")
    verdict_tokens: int = Field(256, gt=0, description="Longest written verdict.")


class Verdicts:
    """What a judge asks of its model: one of `options`."""

    def __init__(self, config: AskingConfig, where: str, options: Sequence[str]) -> None:
        self.config = config
        self.where = where
        self.options = tuple(options)

    def requirement(self) -> Requirement:
        """The ways that the settings allow, the best first."""
        ways = WAYS if self.config.verdict == "auto" else (self.config.verdict,)
        other = "" if self.config.verdict == "auto" else f"Set {self.where}.verdict: auto, or name "
        remedy = (other or "Name ") + f"in {self.where}.model a model whose engine can do it."
        return Requirement(self.config.model, tuple(self._call(way) for way in ways), remedy)

    def ask(self, inference: Inference, rows: pl.DataFrame) -> pl.DataFrame:
        """`logprobs` (list, one an option), `unscored`, `written` (the text, where there is one).

        `rows` hold place and messages, whose last turn asks for an option. A written verdict has
        log-prob 0, the other options -inf.
        """
        call = self.requirement().resolve(inference.engines)
        if call.operation == "choose":
            return weighed(inference.ask(self.config.model, "choose", call.settings, rows))
        sampling = call.settings
        assert isinstance(sampling, Sampling)
        way = way_of(sampling.structure)
        asked = inference.ask(
            self.config.model,
            "generate",
            sampling,
            said_how(rows, way, ", ".join(self.options)).with_columns(FIRST),
        )
        return one_of(asked, way, self.options, f"{self.where}.verdict_tokens")

    def way(self, inference: Inference) -> Way:
        """How the verdict will be read."""
        call = self.requirement().resolve(inference.engines)
        if call.operation == "choose":
            return "logits"
        return way_of(getattr(call.settings, "structure", None))

    def _call(self, way: Way) -> Call:
        if way == "logits":
            return Call("choose", Options(options=self.options))
        schema = {
            "type": "object",
            "properties": {"verdict": {"type": "string", "enum": list(self.options)}},
            "required": ["verdict"],
            "additionalProperties": False,
        }
        structure = {
            "choice": Structure(choice=self.options),
            "json_schema": Structure(json_schema=orjson.dumps(schema).decode()),
            "regex": Structure(regex="(" + "|".join(map(re.escape, self.options)) + ")"),
        }.get(way)
        return Call("generate", written_verdict(self.config, structure))


FIRST = pl.lit(0, dtype=pl.Int64).alias("sample_index")
"""A verdict is written once."""


def written_verdict(config: AskingConfig, structure: Structure | None) -> Sampling:
    """How a verdict is written: the likeliest text."""
    return Sampling(temperature=0.0, max_tokens=config.verdict_tokens, structure=structure)


def way_of(structure: Structure | None) -> Way:
    """The way that a written verdict's structure belongs to."""
    named = structure.model_dump(exclude_none=True) if structure else {"text": None}
    return next(way for way in WAYS if way in named)


def as_said(way: Way, ranking: Sequence[str], kind: str = "verdict") -> str:
    """What a judge writes who ranks the options so: all of them, or as its verdict the first."""
    if way == "json_schema":
        return orjson.dumps({kind: list(ranking) if kind == "ranking" else ranking[0]}).decode()
    said = " > ".join(ranking) if kind == "ranking" else ranking[0]
    return f"[[{said}]]" if way == "text" else said


def said_how(rows: pl.DataFrame, way: Way, known: str, kind: str = "verdict") -> pl.DataFrame:
    """The rows with the form of the reply, prompts/KIND_WAY.txt, at the end of the last turn."""
    if way in ("logits", "choice", "regex"):
        return rows
    form = fill(template(f"{kind}_{way}"), known=pl.lit(known))
    messages = pl.col("messages")
    last = messages.list.last()
    content = pl.concat_str(last.struct.field("content"), form, separator="\n\n")
    turn = pl.struct(last.struct.field("role").alias("role"), content.alias("content"))
    return rows.with_columns(
        messages=pl.concat_list(messages.list.head(messages.list.len() - 1), pl.concat_list(turn))
    )


def own_text(text: pl.Expr) -> pl.Expr:
    """What the model wrote after its thoughts; empty where it never left them."""
    after = text.str.replace(r"(?s)\A.*</think>", "")
    return (
        pl.when(after.str.contains("<think>", literal=True)).then(pl.lit("")).otherwise(after)
    ).str.strip_chars()


def unreadable(asked: pl.DataFrame, tokens: str) -> pl.DataFrame:
    """`own` (text after the thoughts) and `unscored`: why there is nothing to read in it."""
    own = asked.with_columns(own=own_text(pl.col("text").fill_null("")))
    return own.select(
        "own",
        written="text",
        unscored=pl.when(pl.col("error").is_not_null())
        .then("error")
        .when(pl.col("finish_reason") == "length")
        .then(pl.lit(f"cut_off: the model did not come to its end; raise {tokens}"))
        .when(pl.col("text").fill_null("").str.strip_chars() == "")
        .then(pl.lit("empty: the model wrote nothing"))
        .when(pl.col("own") == "")
        .then(pl.lit("only_thoughts: the model wrote nothing after its thoughts")),
    )


def said(
    asked: pl.DataFrame, way: Way, kind: str, value: str, like: str, known: str, tokens: str
) -> pl.DataFrame:
    """`said` (what stands where the verdict has to), `unscored`, `written`, from written responses.

    JSON has to be one key, `kind`, and a `value` (a regex with one group); in free text nothing
    else in double square brackets may be `like` a verdict. `known` says what was expected.
    """
    own = pl.col("own")
    reason = pl.lit(None, dtype=pl.String)
    if way == "text":
        found = own.str.extract(LAST_LINE)
        marks = own.str.extract_all(_MARK).list.eval(pl.element().str.strip_chars("[] \t"))
        alike = marks.list.eval(pl.element().filter(pl.element().str.contains(like)))
        form = f"no_verdict: the last line has to be {known} in double square brackets"
        reason = pl.when(alike.list.n_unique() > 1).then(
            pl.lit("ambiguous_verdict: several that contradict one another are in the text")
        )
    elif way == "json_schema":
        pair = rf'"{kind}"{_SPACE}:{_SPACE}{value}'
        found = own.str.extract(rf"\A{_SPACE}\{{{_SPACE}{pair}{_SPACE}\}}{_SPACE}\z")
        form = f'no_verdict: expected {{"{kind}": {known}}} and nothing else'
    else:
        found = own
        form = f"no_verdict: expected {known} and nothing else"
    return unreadable(asked, tokens).select(
        "written",
        said=found,
        unscored=pl.coalesce("unscored", reason, pl.when(found.is_null()).then(pl.lit(form))),
    )


def one_of(asked: pl.DataFrame, way: Way, options: Sequence[str], tokens: str) -> pl.DataFrame:
    """What `Verdicts.ask` returns, from the texts that `generate` gave."""
    known = "one of " + ", ".join(options)
    like = r"\A(?:" + "|".join(map(re.escape, options)) + r")\z"
    stray = pl.format("not_an_option: {} instead of {}", pl.col("said").str.head(40), pl.lit(known))
    found = said(asked, way, "verdict", r'"([^"\\]*)"', like, known, tokens).with_columns(
        unscored=pl.coalesce("unscored", pl.when(~pl.col("said").is_in(list(options))).then(stray))
    )
    hits = [
        pl.when(pl.col("said") == option).then(0.0).otherwise(-float("inf")) for option in options
    ]
    return found.select(
        "unscored",
        "written",
        logprobs=pl.when(pl.col("unscored").is_null()).then(pl.concat_list(hits)),
    )


def weighed(asked: pl.DataFrame) -> pl.DataFrame:
    """What `Verdicts.ask` returns, from the log-probs that `choose` gave."""
    each = pl.col("logprobs")
    sound = each.list.eval(pl.element().is_not_nan() & (pl.element() < float("inf"))).list.all()
    sound = (sound & each.list.max().is_finite()).fill_null(False)
    shown = each.cast(pl.List(pl.String)).list.join(", ")
    reason = pl.when(~sound).then(pl.format("not_a_probability: {}", shown.fill_null("nothing")))
    return asked.select(
        logprobs=pl.when(sound).then(each),
        unscored=pl.coalesce("error", reason),
        written=pl.lit(None, dtype=pl.String),
    )


def probabilities(logprobs: pl.Expr) -> pl.Expr:
    """Each option's share of what the options have together."""
    highest = pl.element().max()
    weights = (pl.element() - highest).exp()
    return logprobs.list.eval(weights / weights.sum())
