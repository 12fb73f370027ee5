"""demo/data/constrained.jsonl: prompts whose constraints the verifier reads."""

from __future__ import annotations

from pathlib import Path

import orjson

from prefdata.judges.verifiers.constraints import Constraints

LANGUAGES = {"es": "Spanish", "fr": "French", "de": "German", "it": "Italian"}

FILE = Path(__file__).parents[2] / "demo" / "data" / "constrained.jsonl"


def test_every_prompt_has_constraints_that_can_be_met_and_no_instruction_is_in_both_splits() -> (
    None
):
    rows = [orjson.loads(line) for line in FILE.read_bytes().splitlines()]
    splits = {
        split: [row for row in rows if row["split"] == split] for split in ("train", "heldout")
    }
    assert {split: len(of) for split, of in splits.items()} == {"train": 300, "heldout": 150}
    assert len({row["prompt"] for row in rows}) == len(rows)
    train, heldout = ({row["instruction"] for row in of} for of in splits.values())
    assert len(heldout) == 75
    assert not train & heldout
    for row in rows:
        said = Constraints.model_validate_json(row["ground_truth"])
        for unit in ("words", "sentences", "bullets"):
            least, most = getattr(said, f"min_{unit}"), getattr(said, f"max_{unit}")
            assert (least or 0) <= (most or 99), row
        assert not {*(said.keywords or [])} & {*(said.forbidden or [])}, row
        for word in (*(said.keywords or []), *(said.forbidden or [])):
            assert f'"{word}"' in row["prompt"]
        if said.language is not None:
            assert f"Answer in {LANGUAGES[said.language]}." in row["prompt"]
            assert not said.keywords
