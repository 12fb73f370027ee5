"""Generate: data/prompts -> data/responses. n on-policy samples a prompt, beside the responses that
its source brought."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from prefdata.config.params import GenerateParams, Params
from prefdata.engines.base import Need, Sampling, error_code
from prefdata.errors import TableError
from prefdata.files import storage
from prefdata.pipelines import layout
from prefdata.pipelines.stages.base import Outcome, Run, Stage
from prefdata.records import Dropped, Response
from prefdata.records.base import fill_columns, polars_schema
from prefdata.tables import read_bucket, read_info


def work(run: Run, bucket: int) -> Outcome:
    """One bucket's brought responses, and its samples."""
    prompts = run.read("prompts", bucket, ["prompt_id", "messages", "source", "responses"])
    brought = _brought(prompts)
    if run.params.generate.n == 0:
        return Outcome(brought.height, brought, pl.DataFrame(schema=polars_schema(Dropped)))
    drawn = _drawn(run, bucket, prompts.select("prompt_id", "messages"))
    rows = pl.concat([brought, drawn.rows])
    return replace(drawn, rows_in=brought.height + drawn.rows_in, rows=rows)


def _brought(prompts: pl.DataFrame) -> pl.DataFrame:
    """The responses that the sources brought, as responses."""
    responses = prompts.select("prompt_id", "source", "responses").drop_nulls("responses")
    rows = responses.explode("responses", empty_as_null=False).unnest("responses")
    given = rows.with_columns(model=pl.coalesce("model", "source"), finish_reason=pl.lit("stop"))
    return fill_columns(given, Response)


def _drawn(run: Run, bucket: int, prompts: pl.DataFrame) -> Outcome:
    """Ask for the samples."""
    config = run.params.generate
    counts = prompts.join(
        _topped_up(run, bucket), on="prompt_id", how="left", maintain_order="left"
    )
    rows = counts.select(
        "messages",
        prompt_id="prompt_id",
        sample_index=pl.int_ranges(pl.max_horizontal("n", config.n), dtype=pl.Int64),
    ).explode("sample_index", empty_as_null=True)
    inference = run.inference(bucket)
    responses = inference.ask(config.model, "generate", sampling(config), rows)
    joined = pl.concat([rows.select("prompt_id", "sample_index"), responses], how="horizontal")
    failed = pl.col("error").is_not_null()
    empty = pl.col("text").str.strip_chars() == ""
    good = joined.filter(~failed & ~empty)
    responses = good.with_columns(
        response_id=pl.col("key").bin.encode("hex"),
        prompt_id="prompt_id",
        model=pl.lit(inference.fingerprint(config.model)),
        mean_token_logprob=pl.col("cumulative_logprob") / pl.col("n_tokens"),
    ).select(polars_schema(Response).names())
    dropped = joined.filter(failed | empty).select(
        stage=pl.lit("generate"),
        reason=pl.when(failed)
        .then(error_code(pl.col("error")))
        .otherwise(pl.lit("empty_response")),
        detail=pl.coalesce("error", pl.lit("the model ended its turn without a word")),
        fault=failed,
        place="prompt_id",
        record=pl.struct(prompt_id="prompt_id", sample_index="sample_index").struct.json_encode(),
    )
    dropped = dropped.select(polars_schema(Dropped).names())
    return Outcome(rows.height, responses, dropped, inference=inference)


def _topped_up(run: Run, bucket: int) -> pl.DataFrame:
    """The samples of each prompt by the plan; no rows where there is none, or none is wanted."""
    plan = layout.plan(run.params)
    if not run.params.generate.wants_pairs() or storage.read_bytes(plan.info_path) is None:
        return pl.DataFrame(schema={"prompt_id": pl.String, "n": pl.Int64})
    found = read_info(plan).buckets
    if found != run.buckets:
        raise TableError(
            f"{plan.folder}: {found} buckets, but {run.buckets} of prompts: made for other tables",
            "Run `prefdata run`, which plans anew, or remove the folder.",
        )
    return read_bucket(plan, bucket, run.buckets, ["prompt_id", "n"])


def sampling(config: GenerateParams) -> Sampling:
    """The part of the stage's settings that goes into every request's key."""
    return Sampling(
        temperature=config.temperature,
        top_p=config.top_p,
        top_k=config.top_k,
        max_tokens=config.max_tokens,
        stop=tuple(config.stop),
        seed=config.seed,
    )


def requirements(params: Params) -> list[Need]:
    """The model and operation the stage asks for; none where no samples are drawn."""
    if params.generate.n == 0:
        return []
    return [(params.generate.model, "generate", sampling(params.generate))]


STAGE = Stage("generate", "responses", ["prompts"], work, needs)
