"""Reward head: preference pairs -> data/reward_head. Trained in this process."""

from __future__ import annotations

from collections.abc import Sequence

from prefdata.config.params import Params
from prefdata.errors import ConfigError
from prefdata.files import storage
from prefdata.inference import Inference, Memo
from prefdata.inference.progress import Progress
from prefdata.pipelines.stages.base import check_requirements, engines, write_stats
from prefdata.pipelines.stats import Stats
from prefdata.reward_head.head import RewardHead, save_head, train_head


def run_stage(params: Params, arguments: Sequence[str], quiet: bool = False) -> Stats:
    """Train the head and save it; its accuracy is said on the way."""
    config = params.reward_head
    if config is None:
        raise ConfigError("reward_head: params.yaml has no such section", "Add it, with `data`.")
    check_requirements(params, [(config.model, "embed")])
    storage.make_folder(config.out)
    progress = Progress(quiet)
    memo = Memo(params.memo) if params.memo else None
    inference = Inference(engines(params), memo, progress, "reward-head")
    head = train_head(config.data, config.model, config, inference)
    save_head(config.out, head)
    progress.line(f"  {describe(head)}")
    pairs = head.pairs_train + head.pairs_heldout
    stats = Stats(rows_in=pairs, rows_out=pairs, usage=inference.usage)
    write_stats(params, "reward-head", stats)
    return stats


def describe(head: RewardHead) -> str:
    """One line of what is known of the head."""
    sources = ", ".join(f"{s} {a:.3f}" for s, a in head.accuracy_heldout_by_source.items())
    return (
        f"reward head: held-out accuracy {head.accuracy_heldout:.3f} on {head.pairs_heldout} pairs"
        f" ({sources}); longer wins {head.longer_wins_heldout:.3f}"
    )
