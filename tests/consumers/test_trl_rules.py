"""TRL's own code takes the forms that its rules say, and no others; without a model, for it is the
rows that are prepared."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import pytest
from blocks import ROOT
from consumers.test_rules import FORMS, NO, YES, read
from dataset.structured import TEMPLATE
from dataset.test_trl import load_tokenizer

pytest.importorskip("trl", reason="trl is not installed")
TRAINERS = {"trl_dpo": "DPO", "trl_reward": "Reward", "trl_kto": "KTO", "trl_sft": "SFT"}


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    tokenizer = load_tokenizer(str(ROOT / "demo" / "policy"))
    tokenizer.chat_template = TEMPLATE
    return tokenizer


@pytest.fixture(autouse=True)
def _uncached() -> Iterator[None]:
    datasets.disable_caching()
    datasets.disable_progress_bars()
    yield
    datasets.enable_caching()


def prepare(kind: str, row: dict[str, Any], tokenizer: Any, folder: Path) -> Any:
    """The row as the trainer of this kind prepares it."""
    import trl
    from trl.data_utils import maybe_apply_chat_template, maybe_extract_prompt

    rows = datasets.Dataset.from_list([row])
    if kind == "trl_orpo":
        rendered = rows.map(maybe_extract_prompt).map(
            maybe_apply_chat_template, fn_kwargs={"processing_class": tokenizer}
        )
        # What tokenize_row asks for next.
        return [rendered[0][name] for name in ("prompt", "chosen", "rejected")]
    name = TRAINERS[kind]
    arguments = getattr(trl, f"{name}Config")(
        output_dir=str(folder), use_cpu=True, bf16=False, max_length=None
    )
    trainer = SimpleNamespace(
        _tokenizer=tokenizer,
        calculate_KL=False,
        desirable_weight=1.0,
        undesirable_weight=1.0,
        chat_template=None,
        completion_only_loss=True,
    )
    more = (False, None) if name == "SFT" else ()
    trainer_type = getattr(trl, f"{name}Trainer")
    return trainer_type._prepare_dataset(trainer, rows, tokenizer, arguments, *more, "train")


@pytest.mark.parametrize("kind", [*TRAINERS, "trl_orpo"])
def test_trl_takes_what_its_rules_say(kind: str, tokenizer: Any, tmp_path: Path) -> None:
    stray = {**FORMS["explicit"], "messages": [*FORMS["explicit"]["prompt"], NO]}
    for name, row in {**FORMS, "stray messages": stray}.items():
        if any("chance" in problem.what for problem in read(kind, row).problems):
            continue
        try:
            prepared = prepare(kind, row, tokenizer, tmp_path)
        # Whatever stops a trainer stops training.
        except Exception as error:
            reading = read(kind, row)
            assert reading.taken_as is None, (name, error)
            named = [word for word in ("KeyError", "TypeError") if word in reading.problems[0].what]
            assert not named or type(error).__name__ in reading.problems[0].what, (name, error)
        else:
            assert read(kind, row).taken_as, name
            assert len(prepared) >= 1


def test_a_repeated_prompt_stands_twice(tokenizer: Any, tmp_path: Path) -> None:
    for form, times in (("implicit", 1), ("repeated", 2)):
        (row,) = prepare("trl_dpo", FORMS[form], tokenizer, tmp_path)
        text = tokenizer.decode(row["prompt_ids"] + row["chosen_ids"])
        assert text.count("Is it dry?") == times


def test_a_null_margin_stops_the_reward_trainer_and_a_number_is_its_margin() -> None:
    from trl.trainer.reward_trainer import DataCollatorForPreference

    collate = DataCollatorForPreference(pad_token_id=0)
    row = {"chosen_ids": [1, 2], "rejected_ids": [1, 3]}
    assert collate([{**row, "margin": 0.5}])["margin"].tolist() == [0.5]
    (problem,) = read("trl_reward", {**FORMS["explicit"], "margin": None}).problems
    message = problem.what.partition("TypeError: ")[2]
    with pytest.raises(TypeError, match=message):
        collate([{**row, "margin": None}])


def test_a_column_label_replaces_the_labels_of_pairs() -> None:
    from trl.data_utils import unpair_preference_dataset

    rows = datasets.Dataset.from_list([{**FORMS["explicit"], "label": True}])
    unpaired = unpair_preference_dataset(rows)
    assert unpaired["completion"] == [[NO], [YES]]
    assert unpaired["label"] == [True, True]
