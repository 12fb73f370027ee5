"""The recipe of strong against weak, on scripted models, from prompts to the dataset."""

from __future__ import annotations

from pathlib import Path

import flows

from prefdata.config import load_params
from prefdata.dataset.manifest import read_manifest


def test_the_recipe_runs(root: Path, tmp_path: Path) -> None:
    prompts = flows.write_prompts(tmp_path, 24)
    models = ", ".join(
        f"{n}: {{engine: scripted, model: {n}}}" for n in ("strong", "weak", "judge")
    )
    params = load_params(
        root / "recipes" / "strong_weak.yaml",
        [
            f"models={{{models}}}",
            f"ingest.sources.0.path={prompts}",
            f"data={tmp_path}/data",
            f"memo={tmp_path}/data/memo",
            "consensus.min_confidence=0.5",
        ],
    )
    stats = flows.run(params)
    assert stats["generate"].policies == {"strong": 48, "weak": 48}
    reasons = set(stats["pair"].dropped)
    assert reasons == {"not_strong_and_weak", "smaller_margin", "weak_over_strong"}
    pairs = flows.read(tmp_path, "dataset")
    assert pairs.height == stats["export"].rows_out > 10
    assert set(pairs["chosen_policy"]) == {"strong"}
    assert set(pairs["rejected_policy"]) == {"weak"}
    assert pairs["prompt_id"].is_unique().all()
    won = read_manifest(str(tmp_path / "data" / "dataset")).labels.audit["pairwise"]
    assert won["won strong"] is not None
    assert won["won weak"] is not None
    assert abs(won["won strong"] + won["won weak"] - 1) < 1e-5
