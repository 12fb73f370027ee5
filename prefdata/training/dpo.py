"""DPO with weights, soft labels and reference log-probs out of the dataset."""

from __future__ import annotations

import copy
from typing import Any

import trl
from torch import Tensor
from torch.nn.functional import logsigmoid

from prefdata.errors import ConfigError
from prefdata.training.columns import ColumnTrainer, Recorder, compute_soft_loss

REFERENCE = {
    "reference_logprob_chosen": "ref_chosen_logps",
    "reference_logprob_rejected": "ref_rejected_logps",
}
"""The columns of the dataset, and the names by which TRL reads its own."""

LOSSES = ("sigmoid", "robust", "sppo_hard")
_PLAIN = {"label_smoothing": 0.0, "use_weighting": False, "ld_alpha": None}


class DPOTrainer(ColumnTrainer, trl.DPOTrainer):
    """TRL's DPOTrainer, whose loss reads the dataset's columns. A column that is absent or null
    changes nothing; remove one from the dataset to train without it.

    With Δ = beta * beta_scale * (log ratio of the chosen response - that of the rejected one) and
    p = soft_label, the loss of a pair is, by `loss_type`:

    - `sigmoid`: -p log σ(Δ) - (1 - p) log σ(-Δ), conservative DPO (Mitchell, "A note on DPO with
      noisy preferences", 2023); with p = 1, DPO.
    - `robust`: (-p log σ(Δ) + (1 - p) log σ(-Δ)) / (2p - 1), robust DPO (Ray Chowdhury et al.,
      arXiv 2403.00409, Section 3.1). It grows without bound as p comes near 0.5.
    - `sppo_hard`: the squared distances of both log ratios from ± target_margin / (2 beta *
      beta_scale); after `sigmoid`, the calibration of Cal-DPO (arXiv 2412.14516).

    It is multiplied by `weight`, and averaged over the pairs of the batch, whatever the sum of
    their weights. Reference log-probs come from reference_logprob_chosen and _rejected, so no
    reference model is loaded; where the dataset has none, TRL computes them before training.

    Args:
        model: As for TRL's trainer.
        args: A `DPOConfig`. `precompute_ref_log_probs` is set.
        named: TRL's other arguments.

    Raises:
        ConfigError: A setting of TRL's that the columns take the place of, or a loss that does not
            read them; reference log-probs of some pairs, or of responses that max_length cuts.
    """

    args: trl.DPOConfig
    columns = ("weight", "soft_label", "beta_scale", "target_margin")

    def __init__(self, model: Any, *, args: trl.DPOConfig, **named: Any) -> None:
        _check_settings(args)
        args = copy.copy(args)
        args.precompute_ref_log_probs = True
        super().__init__(model, args=args, **named)

    def _precompute_ref_logps(self, dataset: Any, name: str, batch_size: int) -> Any:
        """TRL's hook for reference log-probs, which come with the dataset here."""
        if not REFERENCE.keys() <= set(dataset.column_names or ()):
            return super()._precompute_ref_logps(dataset, name, batch_size)
        missing = max(dataset.data.column(column).null_count for column in REFERENCE)
        if missing == len(dataset):
            return super()._precompute_ref_logps(
                dataset.remove_columns(list(REFERENCE)), name, batch_size
            )
        if missing:
            raise ConfigError(
                f"{name}: {missing} of {len(dataset)} pairs have no reference log-probs",
                "Filter them out, or remove the columns reference_logprob_chosen and _rejected: "
                "then they are computed before training.",
            )
        self._check_length(dataset, name)
        return dataset.rename_columns(REFERENCE)

    def _check_length(self, dataset: Any, name: str) -> None:
        """Refuse pairs that the collator would cut: their log-probs are of whole responses."""
        limit = self.args.max_length
        if limit is None:
            return
        sides = (dataset[side] for side in ("prompt_ids", "chosen_ids", "rejected_ids"))
        lengths = [len(p) + max(len(c), len(r)) for p, c, r in zip(*sides, strict=True)]
        cut = sum(length > limit for length in lengths)
        if cut:
            raise ConfigError(
                f"{name}: {cut} of {len(dataset)} pairs have more than {limit} tokens, and their "
                "reference log-probs are of the whole responses",
                f"Set max_length of DPOConfig to None, or to {max(lengths)}.",
            )

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        columns, forward = self.take_columns(inputs), Recorder(model)
        found = super().compute_loss(forward, inputs, return_outputs, num_items_in_batch)
        outputs = forward.outputs
        tokens = inputs["completion_mask"].shape[1] - 1
        chosen, rejected = outputs.log_probs[:, -tokens:].sum(dim=1).chunk(2)
        losses = self.compute_pair_losses(
            chosen - inputs["ref_chosen_logps"], rejected - inputs["ref_rejected_logps"], columns
        )
        loss = (columns["weight"] * losses).mean()
        if self.aux_loss_enabled:
            loss = loss + self.router_aux_loss_coef * outputs.aux_loss
        return (loss, found[1]) if return_outputs else loss

    def compute_pair_losses(
        self, chosen: Tensor, rejected: Tensor, columns: dict[str, Tensor]
    ) -> Tensor:
        """The loss of each pair before its weight.

        Args:
            chosen: Log ratios of the chosen responses, policy to reference, of shape (pairs,).
            rejected: Those of the rejected responses.
            columns: Each of shape (pairs,).
        """
        soft_label, beta = columns["soft_label"], self.beta * columns["beta_scale"]
        delta = beta * (chosen - rejected)
        target = columns["target_margin"] / (2 * beta)
        losses = {
            "sigmoid": lambda: compute_soft_loss(delta, soft_label),
            "robust": lambda: (
                ((1 - soft_label) * logsigmoid(-delta) - soft_label * logsigmoid(delta))
                / (2 * soft_label - 1)
            ),
            "sppo_hard": lambda: (chosen - target) ** 2 + (rejected + target) ** 2,
        }
        named = zip(self.loss_types, self.loss_weights, strict=True)
        return sum((weight * losses[name]() for name, weight in named), chosen.new_zeros(()))


def _check_settings(args: trl.DPOConfig) -> None:
    wrong = [name for name in args.loss_type if name not in LOSSES]
    if wrong:
        raise ConfigError(
            f"loss_type: {wrong[0]} does not read the dataset's columns",
            f"Set loss_type of DPOConfig to some of {', '.join(LOSSES)}, or take TRL's trainer.",
        )
    if args.f_divergence_type != "reverse_kl":
        raise ConfigError(
            f"f_divergence_type: {args.f_divergence_type} is not among what the columns go with",
            "Set f_divergence_type of DPOConfig to reverse_kl, or take TRL's own trainer.",
        )
    for name, value in _PLAIN.items():
        if getattr(args, name) != value:
            raise ConfigError(
                f"{name}: {getattr(args, name)}; the dataset's columns take its place",
                f"Leave {name} of DPOConfig at {value}, or take TRL's own trainer.",
            )
