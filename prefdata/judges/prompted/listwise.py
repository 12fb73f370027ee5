"""A model that ranks all answers to a prompt at once.

The responses are shown in `permutations` orders, each followed by its reverse, so that a liking for
early or late places weighs on all responses alike. The orders follow from the texts, never from ids.

Where the engine gives logits, the model says which answer is best: P(first = i) of the
Plackett-Luce model is proportional to exp(u_i), so the mean over the orders of log P(first = i) is
u_i, and P(a ≻ b) = sigmoid(u_a - u_b). Elsewhere it writes the whole ranking: a response's Borda
score is the share of the others that it stands before, averaged over the orders, and
P(a ≻ b) = (1 + s_a - s_b) / 2. A ranking that can't be read leaves the whole prompt Unscored.
"""

from __future__ import annotations

import string
from functools import partial
from typing import Literal

import orjson
import polars as pl
from pydantic import Field, field_validator

from prefdata.engines.base import Call, Options, Requirement, Structure
from prefdata.hashing.digests import row_digests
from prefdata.inference.loop import Inference
from prefdata.judges.asking.conversation import fill, template, transcript, turns
from prefdata.judges.asking.delimiters import neutral
from prefdata.judges.asking.demonstrations import Demonstrations, after
from prefdata.judges.asking.verdict import (
    FIRST,
    WAYS,
    AskingConfig,
    Way,
    as_said,
    probabilities,
    said,
    said_how,
    way_of,
    weighed,
    written_verdict,
)
from prefdata.judges.base import Candidates, Judge, from_chances, from_rewards

_RANKING = r"[A-Z](?: > [A-Z])*"
_ARRAY = r'\[((?:[ \t\r\n]*"[A-Z]"[ \t\r\n]*,)*[ \t\r\n]*"[A-Z]"[ \t\r\n]*)\]'

_NONE = pl.lit(None, dtype=pl.Float64).repeat_by(pl.col("texts").list.len())


class ListwiseConfig(AskingConfig):
    kind: Literal["listwise"] = "listwise"
    permutations: int = Field(4, ge=2, multiple_of=2, description="Orders in which it is asked.")
    max_responses: int = Field(8, ge=2, le=26, description="More to a prompt are not ranked.")

    @field_validator("verdict")
    @classmethod
    def _no_choice(cls, way: Way) -> Way:
        if way == "choice":
            raise ValueError("k responses have k! rankings; set json_schema, regex, text or auto")
        return way


class ListwiseJudge(Judge):
    """See the module."""

    config: ListwiseConfig
    takes_demonstrations = True

    def requirements(self) -> list[Requirement]:
        ways = [way for way in WAYS if way != "choice" and self.config.verdict in ("auto", way)]
        remedy = (
            f"Set {self.where}.verdict: auto, lower {self.where}.max_responses, or name in "
            f"{self.where}.model a model whose engine can do it."
        )
        calls = tuple(self._call(way, self.config.max_responses) for way in ways)
        return [Requirement(self.config.model, calls, remedy)]

    def judge(self, candidates: Candidates, inference: Inference) -> pl.DataFrame:
        call = self.requirements()[0].resolve(inference.engines)
        way: Way = "logits"
        if call.operation == "generate":
            way = way_of(getattr(call.settings, "structure", None))
        lists = self._lists(candidates)
        found = [_nothing(lists)]
        for (count,), some in lists.group_by("count", maintain_order=True):
            assert isinstance(count, int)
            if count > self.config.max_responses:
                found.append(self._too_many(some))
            elif count > 1:
                found.append(self._ranked(some, way, count, inference, candidates.demonstrations))
        placed = (
            pl.concat(found)
            .explode("texts", "scores", empty_as_null=True)
            .group_by("prompt_id", "texts", maintain_order=True)
            .agg(
                score=pl.when(pl.col("unscored").null_count() == pl.len()).then(
                    pl.col("scores").sort().mean()
                ),
                unscored=pl.col("unscored").min(),
                trace=pl.when(pl.col("unscored").count() > 0).then(
                    pl.col("written").drop_nulls().str.join("\n\n")
                ),
            )
        )
        scores = candidates.responses.join(
            placed, left_on=["prompt_id", "text"], right_on=["prompt_id", "texts"], how="left"
        ).select("response_id", "score", "unscored", "trace")
        combine = from_rewards if way == "logits" else from_chances
        return combine(self.name, candidates.comparisons, scores)

    def _lists(self, candidates: Candidates) -> pl.DataFrame:
        """prompt_id, question, texts, shown, count: a row a prompt and order of its responses."""
        responses = (
            candidates.responses.select("prompt_id", "text")
            .unique()
            .join(candidates.prompts, on="prompt_id")
        )
        orders = []
        for number in range(self.config.permutations):
            digests = row_digests(responses, ["messages", "text"], str(number // 2))
            ordered = responses.with_columns(digest=digests, order=pl.lit(number)).sort(
                "prompt_id", "digest", descending=[False, number % 2 == 1]
            )
            orders.append(ordered)
        letters = pl.Series(list(string.ascii_uppercase), dtype=pl.String)
        place = pl.int_range(pl.len()).over("prompt_id", "order")
        block = _block(pl.col("letter"), neutral(pl.col("text")))
        return (
            pl.concat(orders)
            .with_columns(prompt_id=place)
            .with_columns(
                letter=pl.lit(letters.implode()).list.get(pl.col("place"), null_on_oob=True)
            )
            .group_by("prompt_id", "order", maintain_order=True)
            .agg(
                question=neutral(transcript(pl.col("messages"))).first(),
                texts="text",
                shown=block.str.join("\n\n"),
                count=pl.len().cast(pl.Int64),
            )
        )

    def _ranked(
        self,
        lists: pl.DataFrame,
        way: Way,
        count: int,
        inference: Inference,
        demonstrations: Demonstrations | None,
    ) -> pl.DataFrame:
        """The lists with `scores`, one a response in the order shown, `unscored` and `written`."""
        call, model = self._call(way, count), self.config.model
        letters = string.ascii_uppercase[:count]
        rows = lists.select(prompt_id="prompt_id", messages=_asking(way, pl.col("shown"), letters))
        rows = after(demonstrations, rows, partial(_shown_two, way), _replies(way))
        if way == "logits":
            asked = weighed(inference.ask(model, call.operation, call.settings, rows))
            shares = probabilities(pl.col("logprobs"))
            result = asked.with_columns(scores=shares.list.eval(pl.element().log()))
        else:
            rows = said_how(rows, way, " > ".join(letters), "ranking").with_columns(FIRST)
            asked = inference.ask(model, call.operation, call.settings, rows)
            result = _borda(asked, way, letters, f"{self.where}.verdict_tokens")
        found = lists.with_columns(result.select("scores", "unscored", "written").get_columns())
        return found.with_columns(scores=pl.coalesce("scores", _NONE))

    def _too_many(self, lists: pl.DataFrame) -> pl.DataFrame:
        most = self.config.max_responses
        setting = f"{self.where}.max_responses"
        reason = pl.format(
            f"too_many_responses: {{}}, more than {setting} ({most}); raise it (at most 26)",
            "count",
        )
        return _nothing(lists, lists).with_columns(unscored=reason)

    def _call(self, way: Way, count: int) -> Call:
        letters = tuple(string.ascii_uppercase[:count])
        if way == "logits":
            return Call("choose", Options(options=letters))
        ranking = {
            "type": "array",
            "items": {"type": "string", "enum": list(letters)},
            "minItems": count,
            "maxItems": count,
        }
        schema = {
            "type": "object",
            "properties": {"ranking": ranking},
            "required": ["ranking"],
            "additionalProperties": False,
        }
        letter = f"[A-{letters[-1]}]"
        structure = {
            "json_schema": Structure(json_schema=orjson.dumps(schema).decode()),
            "regex": Structure(regex=f"{letter}( > {letter}){{{count - 1}}}"),
        }.get(way)
        return Call("generate", written_verdict(self.config, structure))


def _asking(way: Way, responses: pl.Expr, letters: str) -> pl.Expr:
    """The conversation that asks for a ranking, or for the best of the responses."""
    filled = fill(
        template("listwise_best" if way == "logits" else "listwise"),
        question=pl.col("question"),
        responses=responses,
        letters=pl.lit(", ".join(letters)),
    )
    return turns(filled)


def _block(letter: pl.Expr, text: pl.Expr) -> pl.Expr:
    return pl.format("[Response {}]\n{}\n[End of response {}]", letter, text, letter)


def _shown_two(way: Way, shown: pl.DataFrame) -> pl.DataFrame:
    """The messages that ask for the ranking of two demonstrated responses."""
    two = [_block(pl.lit(n), pl.col(text)) for n, text in (("A", "first"), ("B", "second"))]
    asking = _asking(way, pl.concat_str(two, separator="\n\n"), "AB")
    return said_how(shown.select(messages=asking), way, "A > B", "ranking")


def _replies(way: Way) -> dict[str, str]:
    """What a judge replies of two responses that prefers the one of this letter."""
    kind = "verdict" if way == "logits" else "ranking"
    return {ranking[0]: as_said(way, ranking, kind) for ranking in ("AB", "BA")}


def _borda(asked: pl.DataFrame, way: Way, letters: str, tokens: str) -> pl.DataFrame:
    """`scores` (each response's share of the others that it stands before), `unscored`, `written`."""
    known = "each of " + ", ".join(letters) + " once, best first"
    like = rf"\A{_RANKING}\z"
    found = said(asked, way, "ranking", _ARRAY, like, known, tokens)
    stray = pl.format("not_a_ranking: {}, expected " + known, pl.col("said").str.head(80))
    named = pl.col("said").str.extract_all("[A-Z]")
    whole = named.list.sort() == pl.lit(pl.Series([list(letters)]))
    if way != "json_schema":
        whole &= pl.col("said").str.contains(like)
    places = [
        1 - named.list.eval((pl.element() == letter).arg_max()).list.first() / (len(letters) - 1)
        for letter in letters
    ]
    return found.with_columns(
        unscored=pl.coalesce("unscored", pl.when(~whole).then(stray))
    ).with_columns(scores=pl.when(pl.col("unscored").is_null()).then(pl.concat_list(places)))


def _nothing(lists: pl.DataFrame, rows: pl.DataFrame | None = None) -> pl.DataFrame:
    """No rows, or these, without scores."""
    rows = lists.clear() if rows is None else rows
    return rows.with_columns(
        scores=_NONE,
        unscored=pl.lit(None, dtype=pl.String),
        written=pl.lit(None, dtype=pl.String),
    )
