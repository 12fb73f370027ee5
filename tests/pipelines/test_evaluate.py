"""`prefdata evaluate`: a whole evaluation of scripted models, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flows
import orjson
import polars as pl
import pytest

from prefdata.cli.app import main
from prefdata.config import load_params
from prefdata.errors import ConfigError, PrefdataError
from prefdata.pipelines.evaluation import run
from prefdata.pipelines.evaluation.run import evaluate_policy
from prefdata.reports.loop.evaluation import read_evaluation

JUDGES = [
    {"kind": "pairwise", "model": "policy"},
    {"kind": "constraints", "max_words": 12},
    {"kind": "human", "annotations": "rating"},
    {"kind": "exact_match"},
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with prompts and nothing else."""
    folder = tmp_path_factory.mktemp("evaluate")
    sources = {"sources": [{"path": str(folder / "prompts.jsonl")}], "test_fraction": 0.4}
    flows.run(flows.params(folder, 20, ingest=sources, judge={"judges": JUDGES}), "ingest")
    return folder


def list_overrides(**settings: Any) -> list[str]:
    return [f"evaluate.{name}={orjson.dumps(value).decode()}" for name, value in settings.items()]


def test_two_policies_are_compared_on_held_out_prompts_alone(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = list_overrides(n=2, temperature=0.7, reference="reference")
    command = ["evaluate", "--params", str(made / "params.yaml"), "--against", "reference"]
    command += [word for each in settings for word in ("--set", each)]
    assert main([*command, "--json", "--quiet"]) == 0
    figures = orjson.loads(capsys.readouterr().out)
    held_out = flows.read(made, "prompts").filter(pl.col("split") == "test")
    assert figures["prompts"] == held_out.height > 4
    assert [figures[each]["name"] for each in ("policy", "against")] == ["policy", "reference"]
    assert figures["policy"]["responses"] == 2 * held_out.height
    judges = {each["judge"]: each for each in figures["judges"]}
    # People have not seen these responses, and no prompt has a right answer.
    assert list(judges) == ["pairwise", "constraints"]
    assert len([note for note in figures["notes"] if note.startswith("not asked: ")]) == 2
    assert any(note.startswith("pairwise asks policy") for note in figures["notes"])
    for each in judges.values():
        compared = each["won"] + each["tied"] + each["lost"]
        assert compared == each["win_rate"]["count"] == 2 * held_out.height
    reward, other = (judges["constraints"][name] for name in ("reward", "reward_against"))
    difference = judges["constraints"]["difference"]["value"]
    assert difference == pytest.approx(reward["value"] - other["value"], abs=2e-6)
    assert "temperature 0.7" in figures["divergence"]["estimates"]

    rows = flows.read(made, "evaluation")
    assert set(rows["prompt_id"]) == set(held_out["prompt_id"])
    ratio = (rows["logprob"] - rows["reference_logprob"]).mean()
    assert figures["divergence"]["per_response"]["value"] == pytest.approx(ratio, abs=1e-6)
    said = rows.explode("judgments").unnest("judgments").filter(judge="constraints")
    assert said["reward"].mean() == pytest.approx(reward["value"], abs=1e-6)
    assert rows["against"].null_count() == 0

    # The same again, of the memo alone, as tables.
    before = flows.hash_files(made, "evaluation", "memo"), read_evaluation(str(made / "data"))
    assert main([*command, "--quiet"]) == 0
    assert "win rate" in capsys.readouterr().out
    again = flows.hash_files(made, "evaluation", "memo"), read_evaluation(str(made / "data"))
    assert again == before


def test_a_policy_alone_is_judged_by_judges_that_reward(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = load_params(made / "params.yaml", list_overrides(limit=3))
    alone = evaluate_policy(params)
    # However the prompts are cut into chunks, the same comes out.
    table = flows.hash_files(made, "evaluation")
    monkeypatch.setattr(run, "CHUNK_RESPONSES", 2)
    assert (evaluate_policy(params), flows.hash_files(made, "evaluation")) == (alone, table)
    assert (alone.prompts, alone.against, alone.divergence) == (3, None, None)
    assert [each.judge for each in alone.judges] == ["constraints"]
    assert alone.judges[0].win_rate is None
    assert alone.judges[0].reward is not None
    assert "win rate" not in str(alone)


def test_prompts_of_their_own_are_those_that_no_training_saw(made: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.jsonl"
    trained = flows.read(made, "prompts").filter(pl.col("split") == "train")
    seen = trained["messages"].list.first().struct.field("content").to_list()[:2]
    new = [f"Which one is number {number}?" for number in range(30)]
    rows = [{"prompt": text, "ground_truth": "one"} for text in [*seen, *new, new[0]]]
    own.write_bytes(b"\n".join(orjson.dumps(row) for row in rows) + b"\n{}")
    asked = list_overrides(sources=[{"path": str(own)}], judges=["exact_match"])
    evaluation = evaluate_policy(load_params(made / "params.yaml", asked))
    assert (evaluation.prompts, evaluation.policy.responses) == (30, 30)
    said = " ".join(evaluation.notes)
    assert "left out: 2 prompts of evaluate.sources are in the split train" in said
    assert "hold no prompt: missing_field 1" in said
    assert "rough" not in said
    metrics = evaluation.list_metrics()
    reward = evaluation.judges[0].reward
    assert reward is not None
    assert metrics["judges"]["exact_match"]["helpfulness"]["reward_high"] == reward.high
    assert "win_rate" not in metrics["judges"]["exact_match"]["helpfulness"]

    own.write_bytes(b"\n".join(orjson.dumps(row) for row in rows[:2]))
    with pytest.raises(ConfigError, match="of 2 rows none is a held-out prompt; left out: 2"):
        evaluate_policy(load_params(made / "params.yaml", asked))
    missing = list_overrides(sources=[{"path": str(tmp_path / "none.jsonl")}])
    with pytest.raises(ConfigError, match=r"none\.jsonl"):
        evaluate_policy(load_params(made / "params.yaml", missing))


def test_a_prompt_that_another_round_of_a_loop_trains_on_is_left_out(tmp_path: Path) -> None:
    own = tmp_path / "prompts.jsonl"
    ingest = {"sources": [{"path": str(own)}], "test_fraction": 0.4, "fold": {"number": 1, "of": 2}}
    flows.run(flows.params(tmp_path, 20, ingest=ingest, judge={"judges": JUDGES}), "ingest")
    prompts = flows.read(tmp_path, "prompts")
    trained, held_out = (prompts.filter(split=split).height for split in ("train", "test"))
    assert 0 < trained < 20 - held_out
    asked = list_overrides(sources=[{"path": str(own)}], judges=["constraints"])
    evaluation = evaluate_policy(load_params(tmp_path / "params.yaml", asked))
    assert evaluation.prompts == held_out
    assert any(f"left out: {20 - held_out} prompts" in note for note in evaluation.notes)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"policy": "polcy"}, "evaluate.policy: 'polcy' is not under models (did you mean 'poli"),
        ({"against": "policy"}, "policy is the same model as policy"),
        ({"judges": ["pairwise"]}, "pairwise compares responses, and there are none to compare"),
        ({"judges": ["human"]}, "human knows only what people said"),
        ({"judges": ["exact_match"]}, "no held-out prompt has one"),
        ({"judges": ["pair"]}, "no judge is called 'pair'"),
        ({"n": 2}, "n: 2 responses at temperature 0 are one response 2 times"),
    ],
)
def test_what_can_not_be_evaluated_is_refused_before_any_work(
    made: Path, settings: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        evaluate_policy(load_params(made / "params.yaml", list_overrides(**settings)))
    assert says in str(caught.value)
    assert caught.value.remedy or "set n" in str(caught.value)


def test_one_model_under_two_names_is_one_model(made: Path) -> None:
    twin = ["models.twin={engine: scripted, model: policy}", "evaluate.against=twin"]
    with pytest.raises(ConfigError, match="twin is the same model as policy"):
        evaluate_policy(load_params(made / "params.yaml", twin))


def test_nothing_is_evaluated_without_prompts_or_where_the_model_fails(
    made: Path, tmp_path: Path
) -> None:
    fails = ["models.policy.options={fail: [Question]}"]
    with pytest.raises(PrefdataError, match="responses of policy could not be made") as caught:
        evaluate_policy(load_params(made / "params.yaml", fails))
    assert caught.value.exit_code == 3
    ingest = {"sources": [{"path": str(tmp_path / "prompts.jsonl")}], "test_fraction": 0}
    params = flows.params(tmp_path, 4, ingest=ingest)
    with pytest.raises(PrefdataError, match="no finished table"):
        evaluate_policy(params)
    flows.run(params, "ingest")
    with pytest.raises(ConfigError, match="none of its 4 prompts is held out") as refused:
        evaluate_policy(params)
    assert "test_fraction" in refused.value.remedy
