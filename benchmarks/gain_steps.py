"""The steps of gain.py: an arm's pairs and what they have in common, a training, an evaluation, and
log-probabilities."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
from gain_arms import VERIFIER, Setting, make_arm, make_evaluation, read_prompts


def build_arm(setting: Setting, arm: str) -> Any:
    """Run prefdata on an arm's params, from the samples that all arms share; the params."""
    import prefdata
    from prefdata.config.params import Params

    params = Params.model_validate(make_arm(setting, arm))
    prefdata.run(params)
    return params


def train(setting: Setting, arm: str, seed: int, data: str, rate: float) -> tuple[Path, Any]:
    """Train the start on an arm's dataset: the folder of the policy, and the training's figures."""
    from prefdata.config.train import TrainParams
    from prefdata.pipelines.loop.train import train_policy
    from prefdata.reports.progress import open_progress

    size = setting.size
    params = TrainParams(
        learning_rate=rate,
        steps=size.steps,
        batch_size=size.batch,
        device_batch_size=min(4, size.batch),
        dtype=setting.dtype,
        checkpoint_minutes=None,
        seed=seed,
    )
    output = locate_policy(setting, arm, seed, rate)
    with open_progress(quiet=False) as progress:
        trained = train_policy(
            params,
            dataset=str(Path(data, "dataset")),
            policy=setting.model,
            reference=setting.model,
            output=str(output),
            progress=progress,
        )
    return output, trained.figures


def describe_choice(params: Any) -> dict[str, float]:
    """What the pairs of an arm have in common.

    Returns:
        The shares of pairs whose chosen response meets more and fewer of the constraints than the
        rejected one, and is shorter; the mean tokens of both.
    """
    import prefdata

    responses = prefdata.read(params, "responses").select("response_id", "text", "n_tokens")
    pairs = prefdata.read(params, "filtered").select("prompt_id", "chosen_id", "rejected_id")
    prompts = prefdata.read(params, "prompts").select("prompt_id", "messages", "ground_truth")
    pairs = pairs.join(prompts, on="prompt_id", how="left").select(
        "chosen_id", "rejected_id", "ground_truth", prompt="messages"
    )
    for side in ("chosen", "rejected"):
        named = responses.rename({"text": side, "n_tokens": f"tokens_{side}"})
        pairs = pairs.join(named, left_on=f"{side}_id", right_on="response_id", how="left")
    rows = pairs.select("prompt", "ground_truth", response_a="chosen", response_b="rejected")
    rewards = prefdata.judge(rows, VERIFIER, progress=False).select("reward_a", "reward_b")
    chosen, rejected = pl.col("reward_a"), pl.col("reward_b")
    found = pl.concat([pairs, rewards], how="horizontal").select(
        meets_more=(chosen > rejected).mean(),
        meets_fewer=(chosen < rejected).mean(),
        shorter=(pl.col("tokens_chosen") < pl.col("tokens_rejected")).mean(),
        tokens_chosen=pl.col("tokens_chosen").mean(),
        tokens_rejected=pl.col("tokens_rejected").mean(),
    )
    return {name: round(value, 3) for name, value in found.row(0, named=True).items()}


def locate_policy(setting: Setting, arm: str, seed: int, rate: float) -> Path:
    """The folder of a trained policy."""
    return setting.work / "policies" / f"{arm}-{seed}-{rate:g}"


def evaluate(
    setting: Setting, name: str, policy: str, source: str = "heldout", **settings: Any
) -> list[dict[str, Any]]:
    """A policy's responses to the prompts of a source: prompt_id, instruction, share (of the
    constraints), met (all of them), tokens, finished and ratio (log π - log π_ref; None where no
    reference is asked for)."""
    from prefdata.config.params import Params
    from prefdata.pipelines.evaluation.run import evaluate_policy
    from prefdata.reports.progress import open_progress
    from prefdata.tables import read_table
    from prefdata.tables.catalog import Catalog

    folder = setting.work / "evaluations" / name
    params = Params.model_validate(make_evaluation(setting, folder, policy, source, **settings))
    with open_progress(quiet=False) as progress:
        evaluate_policy(params, progress)
    instructions = {row["prompt"]: row["instruction"] for row in read_prompts()}
    rows = []
    for row in read_table(Catalog(params.data).evaluation).to_dicts():
        (judgment,) = row["judgments"]
        known = None not in (row["logprob"], row["reference_logprob"])
        rows.append(
            {
                "prompt_id": row["prompt_id"],
                "instruction": instructions[row["messages"][-1]["content"]],
                "share": judgment["reward"],
                "met": judgment["reward"] == 1,
                "tokens": row["n_tokens"],
                "finished": row["finished"],
                "ratio": row["logprob"] - row["reference_logprob"] if known else None,
            }
        )
    return rows


def evaluate_all(setting: Setting, name: str, policy: str) -> dict[str, Any]:
    """The responses to judge, and those at temperature 1 by which KL is estimated."""
    heldout = evaluate(setting, name, policy)
    sampled = [] if policy == setting.model else evaluate(
        setting, f"{name}-kl", policy, temperature=1.0, top_p=1.0, n=1, reference="start"
    )  # fmt: skip
    return {"heldout": heldout, "sampled": sampled}


def measure_pairs(setting: Setting, params: Any, policy: Path) -> list[dict[str, Any]]:
    """Some of an arm's pairs, with CHES, margin, tokens and log-probabilities before and after
    training."""
    import prefdata

    ches = ["ches", "ches_normalized", "tokens_chosen", "tokens_rejected"]
    on = ["prompt_id", "chosen_id", "rejected_id"]
    pairs = prefdata.read(params, "filtered").select(*on, "pair_id", "margin")
    # A pair's id is a digest: the first by it are a random part.
    pairs = pairs.sort("pair_id").head(setting.size.measured)
    pairs = pairs.join(prefdata.read(params, "ches").select(*on, *ches), on=on, how="left")
    prompts = prefdata.read(params, "prompts").select("prompt_id", "messages", "tools")
    used = pl.concat([pairs["chosen_id"], pairs["rejected_id"]])
    responses = (
        prefdata.read(params, "responses")
        .filter(pl.col("response_id").is_in(used.implode()))
        .with_columns(finished=pl.col("finish_reason") == "stop")
        .select("response_id", "prompt_id", "text", "finished")
        .join(prompts, on="prompt_id", how="left", maintain_order="left")
    )
    for when, model in (("before", setting.model), ("after", str(policy))):
        logprob = measure_logprobs(setting, model, responses)
        for side in ("chosen", "rejected"):
            named = {"response_id": f"{side}_id", "logprob": f"{when}_{side}"}
            pairs = pairs.join(logprob.rename(named), on=f"{side}_id", how="left")
    return pairs.sort("pair_id").drop(on).to_dicts()


def measure_logprobs(setting: Setting, model: str, responses: pl.DataFrame) -> pl.DataFrame:
    """response_id and logprob: log π(response | prompt) under a model, in float32."""
    from prefdata.engines.base import LoglikelihoodSettings
    from prefdata.engines.registry import ENGINES, Engines
    from prefdata.inference import Inference
    from prefdata.inference.completions import ask_completions
    from prefdata.inference.runtime import Runtime

    runtime = Runtime()
    config = {"engine": "transformers", "model": model, "dtype": "float32"}
    engines = Engines({"policy": ENGINES.parse(config, "models.policy")}, runtime.stopping)
    try:
        inference = Inference(engines, runtime.open_memo(str(setting.work / "memo")), runtime)
        settings = LoglikelihoodSettings()
        asked = ask_completions(inference, "policy", "loglikelihood", settings, responses)
    finally:
        engines.close()
    return responses.select("response_id").with_columns(asked["logprob"])
