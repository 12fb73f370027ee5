"""`prefdata replay`: remembered calls are asked again, and what comes out otherwise is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flows
import orjson
import polars as pl
import pytest

from prefdata.cli.app import main
from prefdata.config import Params, load_params
from prefdata.dataset.manifest import read_manifest
from prefdata.dataset.receipt import CallReceipt, Receipt, read_receipt
from prefdata.engines.scripted import ScriptedEngine
from prefdata.errors import ConfigError, PrefdataError
from prefdata.pipelines.replay.run import replay

SAMPLE = 20


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Params]:
    folder = tmp_path_factory.mktemp("replay")
    revisions = [{"kind": "minimal_edit", "name": "edited", "model": "reference"}]
    params = flows.params(folder, 12, generate={"n": 4, "revisions": revisions})
    flows.run(params)
    return folder, params


def answer_otherwise(
    patch: pytest.MonkeyPatch, operation: str, change: Callable[[pl.DataFrame], pl.DataFrame]
) -> None:
    """Make every scripted model answer otherwise."""
    original = getattr(ScriptedEngine, operation)

    def answer(self: ScriptedEngine, rows: pl.DataFrame, settings: Any) -> Iterator[pl.DataFrame]:
        for frame in original(self, rows, settings):
            yield change(frame)

    patch.setattr(ScriptedEngine, operation, answer)


def find(receipt: Receipt, stage: str, call: str) -> CallReceipt:
    return next(each for each in receipt.calls if (each.stage, each.call) == (stage, call))


def test_what_comes_out_the_same_is_a_receipt_in_the_next_manifest(
    made: tuple[Path, Params], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, params = made
    before, earlier = flows.hash_files(folder), read_manifest(str(folder / "data" / "dataset"))
    memo = flows.hash_files(folder, "memo")
    command = ["replay", "--params", str(folder / "params.yaml"), "--sample", str(SAMPLE)]
    assert main([*command, "--json"]) == 0
    shown = orjson.loads(capsys.readouterr().out)
    assert (flows.hash_files(folder, "memo"), earlier.receipt) == (memo, None)
    after = flows.hash_files(folder)
    assert {path: after[path] for path in before} == before
    receipt = read_receipt(params.data)
    assert receipt is not None
    assert shown["receipt"] == receipt.model_dump(mode="json")
    calls = {(each.stage, each.call): each for each in receipt.calls}
    assert {("generate", "generate policy"), ("generate", "generate reference"),
            ("judge", "choose policy"), ("judge", "loglikelihood policy"),
            ("judge", "loglikelihood reference"), ("ches", "hidden_sums policy"),
            } <= calls.keys()  # fmt: skip
    for each in receipt.calls:
        # The filters ask about the pairs that are left, of which there are fewer.
        assert each.asked >= SAMPLE or each.stage == "filter", each
        assert each.drift.identical == each.drift.compared == each.asked
        assert (each.missing, each.failed) == (0, {})
    assert calls["judge", "choose policy"].drift.flips == 0
    assert calls["ches", "hidden_sums policy"].drift.vector_delta == 0
    assert receipt.judges["pairwise"].judgments > 0
    assert all((j.flips, j.lost, j.max_delta) == (0, 0, 0) for j in receipt.judges.values())
    assert receipt.labels is not None
    assert (receipt.labels.flips, receipt.labels.lost) == (0, 0)
    assert receipt.models["policy"].then == [receipt.models["policy"].now]
    # The manifest has it, and the rows are what they were.
    flows.run(params, "export")
    manifest = read_manifest(str(folder / "data" / "dataset"))
    assert (manifest.receipt, manifest.content_version) == (receipt, earlier.content_version)
    for name in ("status", "verify"):
        where = [str(folder / "data/dataset")] if name == "verify" else command[1:3]
        assert main([name, *where]) == 0
        assert receipt.describe() in " ".join(capsys.readouterr().out.split())
    # Of other tables than those that are exported, it is left out.
    other = receipt.model_copy(update={"tables": {**receipt.tables, "judgments": "another"}})
    path = folder / "data" / "receipts" / "replay.json"
    path.write_text(other.model_dump_json())
    flows.run(params, "export")
    assert read_manifest(str(folder / "data" / "dataset")).receipt is None
    path.unlink()


def test_other_texts_and_numbers_are_found_exactly(
    made: tuple[Path, Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    # By an even first byte of the key: what is asked again is fixed by the keys.
    odd = pl.col("key").bin.encode("hex").str.slice(1, 1).is_in([*"13579bdf"])
    tail = pl.col("text").str.slice(7)
    changed = pl.concat_str(pl.col("text").str.head(7), pl.lit("§"), tail)
    answer_otherwise(
        monkeypatch,
        "generate",
        lambda f: f.with_columns(text=pl.when(odd).then(changed).otherwise("text")),
    )
    answer_otherwise(
        monkeypatch, "loglikelihood", lambda f: f.with_columns(logprob=pl.col("logprob") - 0.25)
    )
    answer_otherwise(
        monkeypatch, "hidden_sums", lambda f: f.with_columns(last_hidden=pl.col("last_hidden") * 2)
    )
    _, params = made
    receipt = replay(params, SAMPLE, None)
    drift = find(receipt, "generate", "generate policy").drift
    responses = flows.read(made[0], "responses").filter(pl.col("sample_index").is_not_null())
    # Five prompts of four samples each: the first by id.
    ids = responses.sort("prompt_id").head(SAMPLE)["response_id"]
    wanted = sum(each[1] in "13579bdf" for each in ids)
    assert 0 < wanted < SAMPLE
    same = SAMPLE - wanted
    assert (drift.compared, drift.texts, drift.identical) == (SAMPLE, same, same)
    assert (drift.unit, drift.first_difference) == ("characters", 7)
    assert (drift.mean_delta, drift.max_delta) == (0, 0)
    read = find(receipt, "judge", "loglikelihood policy").drift
    assert (read.mean_delta, read.max_delta, read.identical) == (0.25, 0.25, 0)
    hidden = find(receipt, "ches", "hidden_sums policy").drift
    assert hidden.identical == 0
    assert hidden.min_cosine == pytest.approx(1)
    assert hidden.vector_delta is not None
    assert hidden.vector_delta > 0
    # Both models' log-probabilities moved alike, so no judgment turns.
    assert receipt.judges["implicit_reward"].flips == 0


def test_turned_verdicts_are_turned_judgments_and_labels(
    made: tuple[Path, Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_otherwise(
        monkeypatch, "choose", lambda f: f.with_columns(pl.col("logprobs").list.reverse())
    )
    folder, params = made
    receipt = replay(params, SAMPLE, None)
    calls = find(receipt, "judge", "choose policy").drift
    assert calls.flips is not None
    assert calls.flips > 0
    judgments = flows.read(folder, "judgments")
    pairwise = judgments.filter(judge="pairwise")
    # Each comparison is two requests, and prompts are taken as a whole, the first by id.
    counts = pairwise.group_by("prompt_id").len().sort("prompt_id")
    taken = counts.filter(2 * (pl.col("len").cum_sum() - pl.col("len")) < SAMPLE)["prompt_id"]
    asked = pairwise.filter(pl.col("prompt_id").is_in(taken.implode()))
    found = receipt.judges["pairwise"]
    assert (found.judgments, found.lost) == (asked.height, 0)
    assert found.flips == asked.filter(pl.col("preference") != 0.5).height > 0
    assert found.max_delta == pytest.approx((2 * asked["preference"] - 1).abs().max())
    other = judgments.filter(judge="implicit_reward").rename({"preference": "other"})
    both = asked.join(other, on=["prompt_id", "response_a", "response_b"])
    sides = both.select(
        then=pl.col("preference") + pl.col("other") > 1,
        now=1 - pl.col("preference") + pl.col("other") > 1,
    )
    assert receipt.labels is not None
    assert receipt.labels.comparisons == both.height
    assert receipt.labels.flips == sides.filter(pl.col("then") != pl.col("now")).height > 0


def change(folder: Path, *overrides: str) -> Params:
    return load_params(folder / "params.yaml", overrides)


PRICES = "models.policy.prices={input_per_million: 1000000}"


@pytest.mark.parametrize(
    ("overrides", "found"),
    [
        (["memo=null"], "no model call is remembered"),
        (["memo=elsewhere"], "it has no model call of this run's stages"),
        (["models.policy.model=another"], "another model policy"),
        (["generate.temperature=0.5"], "made with another policies"),
        ([PRICES], "asking again costs about"),
    ],
)
def test_what_cannot_be_asked_again_is_refused_before_any_call(
    made: tuple[Path, Params], overrides: list[str], found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ScriptedEngine, "generate", None)
    monkeypatch.setattr(ScriptedEngine, "choose", None)
    with pytest.raises(PrefdataError, match=found) as error:
        replay(change(made[0], *overrides), SAMPLE, None)
    assert error.value.remedy


def test_a_price_is_said_and_can_be_allowed(made: tuple[Path, Params]) -> None:
    params = change(made[0], PRICES)
    with pytest.raises(ConfigError, match="USD") as error:
        replay(params, SAMPLE, 0.01)
    allowed = float(error.value.remedy.split("--max-cost ")[1].split(",")[0])
    assert replay(params, SAMPLE, allowed).calls
    assert main(["replay", "--sample", "0", "--params", str(made[0] / "params.yaml")]) == 2


def test_a_failed_call_is_counted(
    made: tuple[Path, Params], monkeypatch: pytest.MonkeyPatch
) -> None:
    error = pl.lit("timeout: too slow")
    answer_otherwise(
        monkeypatch,
        "choose",
        lambda f: f.with_columns(error=error, logprobs=pl.lit(None, f.schema["logprobs"])),
    )
    receipt = replay(made[1], SAMPLE, None)
    call = find(receipt, "judge", "choose policy")
    assert (call.failed, call.drift.compared) == ({"timeout": call.asked}, 0)
    judged = receipt.judges["pairwise"]
    assert (judged.flips, judged.lost) == (0, judged.judgments)
