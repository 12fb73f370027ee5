"""From agents' traces to a dataset: the recipe, with and without a model's own responses."""

from __future__ import annotations

from pathlib import Path

import agent_logs
import flows
import orjson
from agent_logs import Call, Say, Step

from prefdata.config import Params, load_params

TASKS = 12


def write_runs(path: Path) -> None:
    """Four runs of each task: all look first, and one that tests before it edits succeeds."""
    rows = []
    for task in range(TASKS):
        look = Call(f"cat f{task}.py", f"def f{task}(): retrun {task}", "I look.", "Where is it?")
        edit = Call(f"sed -i s/retrun/return/ f{task}.py", "", "I mend it.", "It is a typo.")
        test = Call(f"pytest -q f{task}.py", f"{task + 1} failed", "First I see what fails.")
        runs: list[tuple[list[Step], float]] = [
            ([look, edit, Say("It should work now.")], 0.0),
            ([look, edit, Say("Done, I think so.")], 0.0),
            ([look, test, edit, Say("The tests pass.")], 1.0),
            ([look, test, Say("It fails, and I don't know why.")], 0.0),
        ]
        asked = f"Mend f{task}.py, please; it can't be imported."
        rows += [agent_logs.message_row(f"t{task}", asked, s, reward=r) for s, r in runs]
    path.write_bytes(agent_logs.write_lines(rows))


def load_recipe(root: Path, folder: Path, *settings: str) -> Params:
    write_runs(folder / "traces.jsonl")
    return load_params(
        root / "recipes" / "traces.yaml",
        [
            f"ingest.sources.0.path={folder}/traces.jsonl",
            f"data={folder}/data",
            *settings,
        ],
    )


def test_the_recipe_makes_pairs_of_the_turns_at_which_runs_part(root: Path, tmp_path: Path) -> None:
    stats = flows.run(load_recipe(root, tmp_path))
    # Two runs end where they part with outcome 0: a tie.
    assert stats["ingest"].rows_out == 3 * TASKS
    prompts = flows.read(tmp_path, "prompts").select("prompt_id", "messages", "tools")
    pairs = flows.read(tmp_path, "pairs").join(prompts, on="prompt_id").to_dicts()
    assert len(pairs) == 2 * TASKS
    first = [pair for pair in pairs if len(pair["messages"]) == 4]
    assert len(first) == TASKS
    for pair in first:
        assert [m["role"] for m in pair["messages"]] == ["system", "user", "assistant", "tool"]
        assert orjson.loads(pair["tools"]) == agent_logs.TOOLS
    assert stats["export"].rows_out == 2 * TASKS
    rows = flows.read(tmp_path, "dataset")
    assert sorted(rows["reward_margin"]) == [0.5] * TASKS + [1.0] * TASKS


def test_a_model_responds_beside_the_agents(root: Path, tmp_path: Path) -> None:
    sampled = ["generate.n=2", "generate.model=policy"]
    models = "models={policy: {engine: scripted, model: policy}}"
    judges = "judge.judges=[{kind: pairwise, model: policy}]"
    params = load_recipe(root, tmp_path, models, *sampled, judges)
    stats = flows.run(params, "ingest", "generate", "judge", "consensus", "pair")
    responses = flows.read(tmp_path, "responses")
    assert responses.height == 3 * TASKS * (2 + 2)
    assert responses["sample_index"].null_count() == 3 * TASKS * 2
    assert stats["judge"].rows_out == 3 * TASKS * 6
