"""The reward_model engine: sequence classifiers that transformers runs in this process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import polars as pl
from pydantic import Field

from prefdata.engines.base import Settings, fill_request, results
from prefdata.engines.chat import load_tokenizer
from prefdata.engines.completions import locate_message, render_conversation
from prefdata.engines.config import LocalConfig
from prefdata.engines.model_files import find_remedy, name_source
from prefdata.engines.transformers.config import Dtype
from prefdata.engines.transformers.loading import EXTRA
from prefdata.engines.transformers.local import LocalEngine
from prefdata.errors import ModelError
from prefdata.messages.layout import Refused

if TYPE_CHECKING:
    from prefdata.engines.transformers.pieces import Grace


class RewardModelConfig(LocalConfig):
    """A reward model, on CPU, CUDA or MPS."""

    engine: Literal["reward_model"] = "reward_model"
    dtype: Dtype = Field(
        "auto",
        description="auto: float32 on the CPU, the checkpoint's own elsewhere.",
        examples=["bfloat16"],
    )

    engine_class = "prefdata.engines.reward_model:RewardModelEngine"
    example: ClassVar[Mapping[str, Any]] = {"model": "Skywork/Skywork-Reward-V2-Qwen3-0.6B"}


class RewardModelEngine(LocalEngine):
    """Computes the rewards of responses by a sequence classifier.

    There is one number per output of its head: one for a Bradley-Terry model, one per attribute
    for a multi-attribute model (HelpSteer2, Wang et al., arXiv 2406.08673). The conversation and
    the response are rendered by the model's own chat template, as in its training.
    """

    def __init__(self, name: str, config: RewardModelConfig) -> None:
        super().__init__(name, config)
        self.remedy = f"Lower models.{name}.max_batch_tokens, or name a smaller model."

    def start(self) -> None:
        if self.model is not None:
            return
        from transformers import AutoModelForSequenceClassification

        path = self.config.model
        tokenizer = load_tokenizer(self.name, self.config)
        try:
            model, loading = AutoModelForSequenceClassification.from_pretrained(
                path,
                **name_source(self.config),
                use_safetensors=True,
                dtype=self.config.dtype,
                output_loading_info=True,
            )
            model.eval().to(self.config.device)
        except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
            raise ModelError(
                f"models.{self.name}: {path} can't be loaded on {self.config.device}: {error}",
                find_remedy(
                    self.name,
                    error,
                    f"Name a sequence classifier and a device that holds it. {EXTRA}",
                ),
            ) from error
        # A causal model has no such head: it would be random, and its rewards meaningless.
        missing = sorted(loading["missing_keys"])
        if missing:
            raise ModelError(
                f"models.{self.name}: {path} is no reward model: it has no weights for "
                f"{', '.join(missing[:3])}",
                "Name a model that was trained and saved as a sequence classifier.",
            )
        # The model reads its rewards off the last token that is not padding.
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
        self.keep_model(model, tokenizer)

    def reward(self, rows: pl.DataFrame, settings: Settings) -> Iterator[pl.DataFrame]:
        keys = rows["key"].to_list()
        ids, errors = self._render(rows)
        for row, tokens in enumerate(ids):
            if len(tokens) > self.max_length:
                errors[row] = f"too_long: {len(tokens)} tokens, the model takes {self.max_length}"
        if errors:
            yield results("reward", [keys[i] for i in errors], error=list(errors.values()))
        fits = [row for row in range(rows.height) if row not in errors]
        lengths = [len(tokens) for tokens in ids]

        def work(batch: Sequence[int], grace: Grace) -> list[list[float]]:
            return self._compute_rewards([ids[i] for i in batch], grace)

        for batch, rewards in self.run_by_length("reward", fits, lengths, keys, None, work):
            yield results(
                "reward",
                [keys[i] for i in batch],
                rewards=rewards,
                n_prompt_tokens=[lengths[i] for i in batch],
            )

    def _render(self, rows: pl.DataFrame) -> tuple[list[list[int]], dict[int, str]]:
        """(token ids of each row, the error of each row that could not be rendered)."""
        ids: list[list[int]] = []
        errors: dict[int, str] = {}
        for number, row in enumerate(fill_request("reward", rows).iter_rows(named=True)):
            try:
                ids.append(self.encoder.encode(self._render_row(row)))
            except Refused as refusal:
                ids.append([])
                errors[number] = f"refused: {refusal}"
        return ids, errors

    def _render_row(self, row: Mapping[str, Any]) -> str:
        """The conversation and the response, with the thoughts and calls that it has."""
        arguments = self.config.chat_template_kwargs
        text = render_conversation(self.encoder, row, arguments)
        if row["thoughts"] is not None or row["tool_calls"]:
            locate_message(self.encoder, self.encoder.find_end_of_turn(arguments), row, text, 0)
        return text

    def _compute_rewards(self, sequences: Sequence[list[int]], grace: Grace) -> list[list[float]]:
        import torch

        grace.check()
        width, pad = max(map(len, sequences)), self.tokenizer.pad_token_id
        ids = torch.tensor([s + [pad] * (width - len(s)) for s in sequences])
        mask = torch.tensor([[1] * len(s) + [0] * (width - len(s)) for s in sequences])
        with torch.inference_mode():
            logits = self.model(
                input_ids=ids.to(self.model.device), attention_mask=mask.to(self.model.device)
            ).logits
        table: list[list[float]] = logits.float().cpu().double().tolist()
        return table
