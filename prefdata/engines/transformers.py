"""The transformers engine: any causal language model, on CPU, CUDA or MPS."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from prefdata.config.params import ModelParams
from prefdata.engines.base import (
    STOPPING,
    Engine,
    Options,
    Sampling,
    Scoring,
    Settings,
    request_key_seed,
    results,
)
from prefdata.engines.batches import plan
from prefdata.engines.fingerprint import model_fingerprint
from prefdata.errors import ModelError

_EXTRA = "Install the extra: pip install prefdata[transformers]"


class TransformersEngine(Engine):
    """See the module. Sequences are left-padded, so completions end at the same position."""

    def __init__(self, name: str, params: ModelParams) -> None:
        self.name = name
        self.params = _resolved(name, params)
        self.fingerprint = model_fingerprint(name, self.params)
        self.model: Any = None
        self.tokenizer: Any = None
        self.max_length = 0
        self.ends: set[int] = set()

    def start(self) -> None:
        if self.model is not None:
            return
        try:
            from transformers import AutoModelForCausalLM, AutoTokenizer
        except ImportError as error:
            raise ModelError(f"model {self.name}: {error}", _EXTRA) from error
        device, dtype = self.params.device, self.params.dtype
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(
                self.params.model, revision=self.params.revision
            )
            model = AutoModelForCausalLM.from_pretrained(
                self.params.model, revision=self.params.revision, dtype=dtype
            )
            self.model = model.eval()
            self.model.to(device)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise ModelError(
                f"models.{self.name}: {self.params.model} can't be loaded on {device}: {error}",
                "Check `model`, `dtype` and `device`; a folder must hold config.json, weights and "
                "tokenizer.",
            ) from error
        if not self.tokenizer.chat_template:
            raise ModelError(
                f"models.{self.name}: the tokenizer of {self.params.model} has no chat template",
                "Use an instruction-tuned model, or put a chat_template.jinja beside it.",
            )
        ends = model.generation_config.eos_token_id
        named = [*(ends if isinstance(ends, list) else [ends]), self.tokenizer.eos_token_id]
        self.ends = {end for end in named if end is not None}
        self.max_length = int(getattr(model.config, "max_position_embeddings", 0) or 1 << 30)

    def close(self) -> None:
        self.model = None

    def generate(self, rows: pl.DataFrame, settings: Sampling) -> Iterator[pl.DataFrame]:
        from prefdata.engines.decoding import sample

        keys = rows["key"].to_list()
        prompts = self._prompts(rows)
        fits = [i for i, p in enumerate(prompts) if len(p) < self.max_length]
        yield from self._too_long(rows, prompts, fits, "generate")
        room = [len(prompts[i]) + settings.max_tokens for i in fits]
        # By prompt first, so that all samples of a prompt share a batch and its prefill.
        groups = [array("q", prompts[i]).tobytes() + keys[i] for i in fits]
        pad = self._pad()
        for batch in plan(room, groups, self.params.max_batch_tokens, self.params.max_batch_rows):
            if STOPPING.is_set():
                return
            picked = [fits[i] for i in batch]
            order = {p: n for n, p in enumerate(dict.fromkeys(tuple(prompts[i]) for i in picked))}
            answers = sample(
                self.model,
                [list(p) for p in order],
                [order[tuple(prompts[i])] for i in picked],
                [min(settings.max_tokens, self.max_length - len(prompts[i])) for i in picked],
                [request_key_seed(keys[i]) for i in picked],
                settings,
                self.ends,
                pad,
                self.tokenizer.decode,
            )
            texts = self.tokenizer.batch_decode([a.ids for a in answers], skip_special_tokens=True)
            yield results(
                "generate",
                [keys[i] for i in picked],
                text=[_cut(text, settings.stop) for text in texts],
                n_tokens=[len(a.ids) for a in answers],
                finish_reason=[a.finish_reason for a in answers],
                cumulative_logprob=[a.logprob for a in answers],
                n_prompt_tokens=[len(prompts[i]) for i in picked],
            )

    def score(self, rows: pl.DataFrame, settings: Scoring) -> Iterator[pl.DataFrame]:
        answers = self._answers(rows)
        for keys, found in self._logprobs(rows, self._prompts(rows), answers, "score"):
            if isinstance(found, pl.DataFrame):
                yield found
                continue
            columns = {
                "logprob": [float(each.sum()) for each, _ in found],
                "n_tokens": [len(each) for each, _ in found],
                "token_logprobs": [
                    each.tolist() if settings.per_token else None for each, _ in found
                ],
                "n_prompt_tokens": [read for _, read in found],
            }
            yield results("score", keys, **columns)

    def choose(self, rows: pl.DataFrame, settings: Options) -> Iterator[pl.DataFrame]:
        options = [self._encode(option) for option in settings.options]
        prompts = self._prompts(rows)
        if all(len(option) == 1 for option in options):
            yield from self._choose_token(rows, prompts, [option[0] for option in options])
            return
        # An option of several tokens: its log p is the sum over them, one pass an option.
        expanded = rows.with_row_index("row").join(
            pl.DataFrame({"option": range(len(options))}), how="cross"
        )
        prompts_x = [prompts[i] for i in expanded["row"]]
        options_x = [options[i] for i in expanded["option"]]
        sums: dict[bytes, list[float | None]] = {}
        tokens: dict[bytes, int] = {}
        numbered = expanded.with_columns(
            key=pl.Series([k + bytes([o]) for k, o in expanded.select("key", "option").iter_rows()])
        )
        failed: set[bytes] = set()
        for keys, part in self._logprobs(numbered, prompts_x, options_x, "choose"):
            if isinstance(part, pl.DataFrame):
                # One option that does not fit is enough: there is nothing to weigh it against.
                errors = part.with_columns(pl.col("key").bin.head(16)).unique("key", keep="first")
                failed.update(errors["key"])
                yield errors
                continue
            for key, (each, read) in zip(keys, part, strict=True):
                if key[:16] not in failed:
                    found = sums.setdefault(key[:16], [None] * len(options))
                    found[key[16]] = float(each.sum())
                    tokens[key[:16]] = tokens.get(key[:16], 0) + read
        whole = {key: found for key, found in sums.items() if None not in found}
        columns = {"logprobs": list(whole.values()), "n_prompt_tokens": [tokens[k] for k in whole]}
        yield results("choose", list(whole), **columns)

    def hidden_sums(self, rows: pl.DataFrame, settings: Settings) -> Iterator[pl.DataFrame]:
        import torch

        prompts, answers = self._prompts(rows), self._answers(rows)
        keys = rows["key"].to_list()
        # The last token of the answer predicts nothing in it: it need not be run at all.
        sequences = [p + a[:-1] for p, a in zip(prompts, answers, strict=True)]
        fits = [i for i, s in enumerate(sequences) if len(s) <= self.max_length and answers[i]]
        yield from self._too_long(rows, sequences, fits, "hidden_sums")
        for picked, ids, mask, positions in self._batches(sequences, keys, fits):
            with torch.inference_mode():
                hidden = self.model.base_model(
                    input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False
                ).last_hidden_state.float()
                counts = torch.tensor([len(answers[i]) for i in picked], device=hidden.device)
                places = torch.arange(hidden.shape[1] - 1, -1, -1, device=hidden.device)
                inside = (places[None, :] < counts[:, None]).to(hidden.dtype)
                sums = torch.einsum("bt,bth->bh", inside, hidden)
            yield results(
                "hidden_sums",
                [keys[i] for i in picked],
                hidden_sum=sums.cpu().numpy(),
                last_hidden=hidden[:, -1, :].cpu().numpy(),
                n_tokens=counts.tolist(),
                n_prompt_tokens=[len(prompts[i]) + len(answers[i]) for i in picked],
            )

    def _choose_token(
        self, rows: pl.DataFrame, prompts: list[list[int]], options: list[int]
    ) -> Iterator[pl.DataFrame]:
        import torch

        keys = rows["key"].to_list()
        fits = [i for i, p in enumerate(prompts) if len(p) <= self.max_length]
        yield from self._too_long(rows, prompts, fits, "choose")
        for picked, ids, mask, positions in self._batches(prompts, keys, fits):
            with torch.inference_mode():
                logits = self._logits(ids, mask, positions, keep=1)[:, -1, :]
                logprobs = torch.log_softmax(logits, -1)[:, options].cpu().double().tolist()
            read = [len(prompts[i]) for i in picked]
            columns = {"logprobs": logprobs, "n_prompt_tokens": read}
            yield results("choose", [keys[i] for i in picked], **columns)

    def _logprobs(
        self,
        rows: pl.DataFrame,
        prompts: list[list[int]],
        answers: list[list[int]],
        operation: Any,
    ) -> Iterator[tuple[list[bytes], list[tuple[Any, int]] | pl.DataFrame]]:
        """(keys, [(log p of each token, tokens read)]) a batch; a frame of errors for what does
        not fit."""
        import torch

        keys = rows["key"].to_list()
        sequences = [p + a for p, a in zip(prompts, answers, strict=True)]
        fits = [i for i, s in enumerate(sequences) if len(s) <= self.max_length]
        for errors in self._too_long(rows, sequences, fits, operation):
            yield [], errors
        for picked, ids, mask, positions in self._batches(sequences, keys, fits):
            keep = max(len(answers[i]) for i in picked)
            with torch.inference_mode():
                logits = self._logits(ids, mask, positions, keep=keep + 1)[:, :-1, :]
                logprobs = torch.log_softmax(logits, -1)
                targets = ids[:, -keep:] if keep else ids[:, :0]
                chosen = logprobs.gather(-1, targets[..., None])[..., 0].double().cpu()
            found = [
                (chosen[n, keep - len(answers[i]) :], len(sequences[i]))
                for n, i in enumerate(picked)
            ]
            yield [keys[i] for i in picked], found

    def _logits(self, ids: Any, mask: Any, positions: Any, keep: int) -> Any:
        output = self.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            use_cache=False,
            logits_to_keep=keep,
        )
        return output.logits.float()

    def _batches(
        self, sequences: list[list[int]], keys: list[bytes], fits: list[int]
    ) -> Iterator[tuple[list[int], Any, Any, Any]]:
        """(positions of the rows, ids, mask, position ids) a batch, left-padded."""
        import torch

        pad = self._pad()
        lengths = [len(sequences[i]) for i in fits]
        limit = self.params.max_batch_tokens
        for batch in plan(lengths, [keys[i] for i in fits], limit, limit):
            if STOPPING.is_set():
                return
            picked = [fits[i] for i in batch]
            width = len(sequences[picked[0]])
            ids = [[pad] * (width - len(sequences[i])) + sequences[i] for i in picked]
            mask = [[0] * (width - len(sequences[i])) + [1] * len(sequences[i]) for i in picked]
            mask_tensor = torch.tensor(mask, device=self.model.device)
            positions = (mask_tensor.cumsum(-1) - 1).clamp(min=0)
            yield picked, torch.tensor(ids, device=self.model.device), mask_tensor, positions

    def _prompts(self, rows: pl.DataFrame) -> list[list[int]]:
        """Token ids of each conversation, ready for the assistant's turn."""
        distinct: dict[str, list[int]] = {}
        result = []
        for messages in rows["messages"].to_list():
            text = self.tokenizer.apply_chat_template(
                messages, add_generation_prompt=True, tokenize=False
            )
            if text not in distinct:
                distinct[text] = self._encode(text)
            result.append(distinct[text])
        return result

    def _answers(self, rows: pl.DataFrame) -> list[list[int]]:
        """Token ids of each completion, with the end-of-turn token where it is finished."""
        end = [self.tokenizer.eos_token_id]
        return [
            self._encode(text) + (end if finished else [])
            for text, finished in rows.select("completion", "finished").iter_rows()
        ]

    def _encode(self, text: str) -> list[int]:
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return list(ids)

    def _pad(self) -> int:
        pad = self.tokenizer.pad_token_id
        return int(pad if pad is not None else self.tokenizer.eos_token_id)

    def _too_long(
        self, rows: pl.DataFrame, sequences: Sequence[list[int]], fits: list[int], operation: Any
    ) -> Iterator[pl.DataFrame]:
        inside = set(fits)
        out = [i for i in range(len(sequences)) if i not in inside]
        if out:
            errors = [
                f"too_long: {len(sequences[i])} tokens, the model takes {self.max_length}"
                for i in out
            ]
            yield results(operation, rows["key"].gather(out), error=errors)


def _resolved(name: str, params: ModelParams) -> ModelParams:
    """The same with device and dtype named, as far as they are not the checkpoint's own.

    Answers in float32 and in bfloat16 differ, so `auto` may not stand for both in a fingerprint.
    """
    try:
        import torch
    except ImportError as error:
        raise ModelError(f"model {name}: {error}", _EXTRA) from error
    if params.device == "auto":
        mps = torch.backends.mps.is_available()
        device = "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
        params = params.model_copy(update={"device": device})
    if params.dtype == "auto" and params.device == "cpu":
        # bfloat16 products are several times slower than float32 ones on most CPUs.
        params = params.model_copy(update={"dtype": "float32"})
    return params


def _cut(text: str, stop: Sequence[str]) -> str:
    """The text up to the first stop text, which does not belong to the answer."""
    ends = [text.find(s) for s in stop if s in text]
    return text[: min(ends)] if ends else text
