"""Reward models: sequence classifiers that read a conversation with its response, by transformers.

One number a head output: one for a Bradley-Terry model, one an attribute for a multi-attribute one
(HelpSteer2, Wang et al., arXiv 2406.08673). The conversation is rendered by the model's own chat
template, as it was trained.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import polars as pl

from prefdata.engines.base import Settings, results
from prefdata.engines.config import ModelParams
from prefdata.engines.transformers.loading import EXTRA
from prefdata.engines.transformers.local import LocalEngine
from prefdata.errors import ModelError

if TYPE_CHECKING:
    from prefdata.engines.transformers.pieces import Grace


class RewardModelEngine(LocalEngine):
    """See the module."""

    def __init__(self, name: str, params: ModelParams) -> None:
        super().__init__(name, params)
        self.remedy = f"Lower models.{name}.max_batch_tokens, or name a smaller model."

    def start(self) -> None:
        if self.model is not None:
            return
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        where, revision = self.params.model, self.params.revision
        try:
            tokenizer = AutoTokenizer.from_pretrained(where, revision=revision)
            model, loading = AutoModelForSequenceClassification.from_pretrained(
                where, revision=revision, dtype=self.params.dtype, output_loading_info=True
            )
            model.eval().to(self.params.device)
        except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
            raise ModelError(
                f"models.{self.name}: {where} can't be loaded on {self.params.device}: {error}",
                f"Name a sequence classifier and a device that holds it. {EXTRA}",
            ) from error
        # Of a causal model the head would be made up, at random: its rewards would say nothing.
        lacking = sorted(loading["missing_keys"])
        if lacking:
            raise ModelError(
                f"models.{self.name}: {where} is no reward model: it has no weights for "
                f"{', '.join(lacking[:3])}",
                "Name a model that was trained and saved as a sequence classifier.",
            )
        if not tokenizer.chat_template:
            raise ModelError(
                f"models.{self.name}: the tokenizer of {where} has no chat template",
                "Put the chat_template.jinja that it was trained with beside it.",
            )
        # The model finds a response's last token by what is no padding.
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
        self.hold(model, tokenizer)

    def reward(self, rows: pl.DataFrame, settings: Settings) -> Iterator[pl.DataFrame]:
        keys = rows["key"].to_list()
        ids, errors = self._rendered(rows)
        for row, tokens in enumerate(ids):
            if len(tokens) > self.max_length:
                errors[row] = f"too_long: {len(tokens)} tokens, the model takes {self.max_length}"
        if errors:
            yield results("reward", [keys[i] for i in errors], error=list(errors.values()))
        fits = [row for row in range(rows.height) if row not in errors]
        lengths = [len(tokens) for tokens in ids]

        def work(some: Sequence[int], grace: Grace) -> list[list[float]]:
            return self._rewards([ids[i] for i in some], grace)

        for picked, found in self.run("reward", fits, lengths, keys, None, work):
            yield results(
                "reward",
                [keys[i] for i in picked],
                rewards=found,
                n_prompt_tokens=[lengths[i] for i in picked],
            )

    def _rendered(self, rows: pl.DataFrame) -> tuple[list[list[int]], dict[int, str]]:
        """Token ids a row, and why a row has none."""
        from jinja2 import TemplateError

        found: list[list[int]] = []
        errors: dict[int, str] = {}
        columns = (rows[name].to_list() for name in ("messages", "completion"))
        for row, (messages, completion) in enumerate(zip(*columns, strict=True)):
            turns = [*messages, {"role": "assistant", "content": completion}]
            try:
                text = self.tokenizer.apply_chat_template(turns, tokenize=False)
                found.append(self.tokenizer(text, add_special_tokens=False)["input_ids"])
            except TemplateError as error:
                found.append([])
                errors[row] = f"refused: the chat template says: {error}"
        return found, errors

    def _rewards(self, sequences: Sequence[list[int]], grace: Grace) -> list[list[float]]:
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
