"""Generate: data/prompts -> data/responses. n on-policy samples per prompt, besides the
existing responses that came with it."""

from __future__ import annotations

import polars as pl

from prefdata.config.params import GenerateParams, Params
from prefdata.engines.base import Requirement, Sampling, error_code
from prefdata.errors import ConfigError, TableError
from prefdata.messages.tool_calls import UNREADABLE
from prefdata.pipelines.stages.base import BucketStage, Context, Outcome
from prefdata.records import Response
from prefdata.records.base import fill_columns, polars_schema
from prefdata.records.dropped import drop_rows, no_dropped
from prefdata.sources.registry import SOURCES
from prefdata.tables import read_bucket, read_info
from prefdata.tables.read import is_finished


class GenerateStage(BucketStage):
    """Asks the policy for samples."""

    name = "generate"
    summary = "sample n on-policy responses per prompt"
    section = "generate"
    table = "responses"
    unit = "responses"

    def reads(self, params: Params) -> list[str]:
        return ["prompts"]

    def requirements(self, params: Params) -> list[Requirement]:
        config = params.generate
        if config.n == 0:
            return []
        return [Requirement.of(config.model, "generate", make_sampling(config))]

    def check(self, context: Context) -> None:
        params = context.params
        sources = SOURCES.build_all(params.ingest.sources, "ingest.sources")
        if params.generate.n == 0 and not any(source.annotation_kind for source in sources):
            raise ConfigError(
                "generate.n: 0 draws no samples, and no source brings responses",
                "Set n above 0, or `annotations` of a source in ingest.sources.",
            )

    def work(self, context: Context, bucket: int) -> Outcome:
        columns = ["prompt_id", "messages", "tools", "source", "responses"]
        prompts = context.read("prompts", bucket, columns)
        existing = take_existing(prompts)
        if context.params.generate.n == 0:
            return Outcome(existing.height, existing, no_dropped())
        drawn = draw_samples(context, bucket, prompts.select("prompt_id", "messages", "tools"))
        rows = pl.concat([existing, drawn.rows])
        return Outcome(existing.height + drawn.rows_in, rows, drawn.dropped, drawn.usage)


def take_existing(prompts: pl.DataFrame) -> pl.DataFrame:
    """`Response` rows of the responses that came with the prompts."""
    existing = prompts.select("prompt_id", "source", "responses").drop_nulls("responses")
    rows = existing.explode("responses", empty_as_null=False).unnest("responses")
    author = pl.coalesce("model", "source")
    named = rows.with_columns(policy=author, model=author, finish_reason=pl.lit("stop"))
    return fill_columns(named, Response)


def draw_samples(context: Context, bucket: int, prompts: pl.DataFrame) -> Outcome:
    """Ask for the samples of a bucket's prompts, which hold prompt_id, messages and tools."""
    config = context.params.generate
    plan = _read_plan(context, bucket)
    counts = prompts.join(plan, on="prompt_id", how="left", maintain_order="left")
    rows = counts.select(
        "prompt_id",
        "messages",
        "tools",
        sample_index=pl.int_ranges(pl.max_horizontal("n", config.n), dtype=pl.Int64),
    ).explode("sample_index", empty_as_null=True)
    inference = context.inference()
    results = inference.ask(config.model, "generate", make_sampling(config), rows)
    joined = pl.concat([rows.select("prompt_id", "sample_index"), results], how="horizontal")
    failed = pl.col("error").is_not_null()
    unreadable = pl.col("call_fault").is_not_null()
    empty = (pl.col("text").str.strip_chars() == "") & pl.col("tool_calls").is_null()
    responses = joined.filter(~failed & ~unreadable & ~empty).with_columns(
        response_id=pl.col("key").bin.encode("hex"),
        policy=pl.lit(config.model),
        model=pl.lit(inference.fingerprint(config.model)),
        mean_token_logprob=pl.col("cumulative_logprob") / pl.col("n_tokens"),
    )
    faulty = joined.filter(failed | unreadable | empty).with_columns(
        reason=pl.when(failed)
        .then(error_code(pl.col("error")))
        .when(unreadable)
        .then(pl.lit(UNREADABLE))
        .otherwise(pl.lit("empty_response")),
        detail=pl.coalesce(
            "error", "call_fault", pl.lit("the model ended its turn without a word")
        ),
    )
    record = ["prompt_id", "sample_index"]
    dropped = drop_rows(faulty, context.stage, record, pl.col("error").is_not_null())
    responses = responses.select(polars_schema(Response).names())
    return Outcome(rows.height, responses, dropped, inference.usage)


def make_sampling(config: GenerateParams) -> Sampling:
    """The sampling settings, which are part of every request's key."""
    return Sampling(
        temperature=config.temperature,
        top_p=config.top_p,
        top_k=config.top_k,
        max_tokens=config.max_tokens,
        stop=tuple(config.stop),
        seed=config.seed,
    )


def _read_plan(context: Context, bucket: int) -> pl.DataFrame:
    """prompt_id and n, the number of samples that top-up planned; no rows without a plan."""
    plan = context.catalog.top_up
    if not context.params.generate.wants_pairs() or not is_finished(plan):
        return pl.DataFrame(schema={"prompt_id": pl.String, "n": pl.Int64})
    buckets = read_info(plan).buckets
    if buckets != context.buckets:
        raise TableError(
            f"{plan.folder}: {buckets} buckets, but {context.buckets} of prompts: made for other "
            "tables",
            "Run `prefdata run`, which plans anew, or remove the folder.",
        )
    return read_bucket(plan, bucket, context.buckets, ["prompt_id", "n"])
