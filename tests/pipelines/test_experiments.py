"""What an experiment on params.yaml costs: the model calls of what it changes, and no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flows
import yaml

from prefdata.accounting.stats import Stats
from prefdata.config import Params
from prefdata.pipelines.stages.registry import STAGES

CHANGES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "filter": ({"filters": [{"kind": "near_identical", "max_similarity": 0.5}]}, set()),
    "consensus": ({"kind": "mean", "min_confidence": 0.6}, set()),
    "generate": ({"n": 4, "temperature": 0.5}, {"generate", "judge", "ches"}),
}
"""Section -> (what it is changed to, the stages that ask a model anew)."""


def test_an_experiment_asks_models_only_for_what_it_changes(tmp_path: Path, root: Path) -> None:
    first = count_asked(flows.run(flows.params(tmp_path, 4)))
    assert {name for name, calls in first.items() if calls} == {"generate", "judge", "ches"}
    for section, (settings, asking) in CHANGES.items():
        changed = flows.params(tmp_path, 4, **{section: settings})
        asked = count_asked(flows.run(changed, *list_rerun(root, section, changed)))
        assert {name for name, calls in asked.items() if calls} == asking, section


def count_asked(stats: dict[str, Stats]) -> dict[str, int]:
    """The model calls of each stage that the memo did not answer."""
    return {
        name: sum(usage.requests - usage.cached for usage in each.usage.values())
        for name, each in stats.items()
    }


def list_rerun(root: Path, section: str, params: Params) -> list[str]:
    """The stages that `dvc repro` runs where a section of params.yaml is another."""
    described = yaml.safe_load((root / "dvc.yaml").read_text())["stages"]
    changed: set[str] = set()
    rerun = []
    for stage in (stage for stage in STAGES if stage.is_wanted(params)):
        follows = described[stage.name]
        if section in follows["params"] or changed & set(follows["deps"]):
            rerun.append(stage.name)
            # DVC goes by content: an out that came out the same would stop here.
            changed |= {out for out in follows["outs"] if isinstance(out, str)}
    assert "export" in rerun
    return rerun
