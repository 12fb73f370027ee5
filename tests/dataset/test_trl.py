"""TRL's own DPO trainer takes the published dataset as it is and trains on it."""

from __future__ import annotations

from pathlib import Path

import pytest
from dataset.published import make_pairs, publish


def test_dpo_trainer_trains_on_it(tmp_path: Path, root: Path) -> None:
    import datasets

    trl = pytest.importorskip("trl", reason="trl is not installed")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    publish(tmp_path / "dataset", make_pairs(24))
    loaded = datasets.load_dataset(str(tmp_path / "dataset"), cache_dir=str(tmp_path / "cache"))
    policy = str(root / "demo" / "policy")
    trainer = trl.DPOTrainer(
        model=transformers.AutoModelForCausalLM.from_pretrained(policy),
        args=trl.DPOConfig(
            output_dir=str(tmp_path / "trained"),
            max_steps=2,
            per_device_train_batch_size=4,
            report_to=[],
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
        ),
        train_dataset=loaded["train"],
        processing_class=transformers.AutoTokenizer.from_pretrained(policy),
    )
    trainer.train()
    losses = [log["loss"] for log in trainer.state.log_history if "loss" in log]
    final = trainer.state.log_history[-1]
    assert final["train_loss"] > 0
    assert losses or final["step"] == 2
