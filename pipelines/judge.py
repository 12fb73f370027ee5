"""Judge: data/prompts, data/responses -> data/judgments. Every judge's opinion, and the consensus.

Of n answers all n(n-1)/2 comparisons are judged. A comparison without a consensus is rejected
with its reason; the judges' opinions on it stay in the table.
"""

from __future__ import annotations

import polars as pl

from pipelines.flow import Outcome, Run, Stage
from prefdata.config.params import Params
from prefdata.consensus import lookup as consensuses
from prefdata.engines.base import Wanted
from prefdata.judges import lookup as judges
from prefdata.judges.base import Candidates, judgments
from prefdata.records import CONSENSUS, Rejection
from prefdata.records.base import polars_schema

SLICE_PROMPTS = 1024
"""Judged at once: a judge's prompts are many times the size of the answers they are made of."""

_JUDGED = ["response_id", "prompt_id", "text", "finish_reason"]


def work(run: Run, bucket: int) -> Outcome:
    """Judge one bucket's answers."""
    prompts = run.read("prompts", bucket, ["prompt_id", "messages", "reference"])
    responses = answers(run, bucket)
    panel = judges.build(run.params.judge.judges)
    consensus = consensuses.build(run.params.judge.consensus)
    inference = run.inference(bucket)

    tables, rejections, compared, agreed = [], [], 0, 0
    for some in prompts.iter_slices(SLICE_PROMPTS):
        of_these = responses.join(some.select("prompt_id"), on="prompt_id", how="semi")
        comparisons, identical = compare(of_these)
        candidates = Candidates(some, of_these, comparisons)
        opinions = pl.concat([judge.judge(candidates, inference) for judge in panel])
        decided = consensus.decide(opinions)
        labels = judgments(
            CONSENSUS,
            decided.filter(pl.col("reason").is_null())
            .drop("reason", "detail")
            .with_columns(unscored=pl.lit(None, dtype=pl.String)),
        )
        tables += [opinions, labels]
        undecided = decided.filter(pl.col("reason").is_not_null())
        rejections += [rejected(identical, fault=False), rejected(undecided, fault=None)]
        compared += comparisons.height + identical.height
        agreed += labels.height
    empty = pl.DataFrame(schema=polars_schema(Rejection))
    return Outcome(
        compared,
        pl.concat(tables) if tables else judgments(CONSENSUS, _no_comparisons()),
        pl.concat([empty, *rejections]),
        rows_out=agreed,
        inference=inference,
    )


def answers(run: Run, bucket: int) -> pl.DataFrame:
    """Answers as judges and filters see them: `finished` in place of the finish reason."""
    rows = run.read("responses", bucket, _JUDGED)
    return rows.with_columns(finished=pl.col("finish_reason") == "stop").drop("finish_reason")


def compare(responses: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(comparisons to judge, those with an answer that repeats another one of its prompt).

    Both with response_a < response_b; the second with reason and detail.
    """
    repeats = pl.struct("prompt_id", "text").is_first_distinct().not_()
    marked = responses.sort("prompt_id", "response_id").with_columns(repeat=repeats)
    one = marked.select("prompt_id", response_a="response_id", repeat_a="repeat")
    two = marked.select("prompt_id", response_b="response_id", repeat_b="repeat")
    pairs = one.join(two, on="prompt_id").filter(pl.col("response_a") < pl.col("response_b"))
    repeated = pl.col("repeat_a") | pl.col("repeat_b")
    columns = ["prompt_id", "response_a", "response_b"]
    identical = pairs.filter(repeated).with_columns(
        reason=pl.lit("identical_answers"),
        detail=pl.lit("one of the two repeats, word for word, another answer to the prompt"),
    )
    return pairs.filter(~repeated).select(columns), identical.select(*columns, "reason", "detail")


def rejected(rows: pl.DataFrame, fault: bool | None) -> pl.DataFrame:
    """Rejections of comparisons; with `fault` None, a lack of opinions is one, the rest is not."""
    faulty = pl.col("reason") == "too_few_opinions" if fault is None else pl.lit(fault)
    return rows.select(
        stage=pl.lit("judge"),
        reason="reason",
        detail="detail",
        fault=faulty,
        place="prompt_id",
        record=pl.struct("prompt_id", "response_a", "response_b").struct.json_encode(),
    )


def _no_comparisons() -> pl.DataFrame:
    names = ("prompt_id", "response_a", "response_b", "unscored")
    return pl.DataFrame(schema={**dict.fromkeys(names, pl.String), "preference": pl.Float64})


def needs(params: Params) -> list[Wanted]:
    """The models and operations the judges ask for; checks their settings on the way."""
    consensuses.build(params.judge.consensus)
    return [need for judge in judges.build(params.judge.judges) for need in judge.needs()]


STAGE = Stage("judge", "comparisons", ["prompts", "responses"], work, needs)
