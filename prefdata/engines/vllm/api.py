"""vLLM's requests and results: the one module that speaks to a running vLLM.

With vllm_start.py the only one that imports it, and so the place where its versions differ.
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import Any

import numpy as np

from prefdata.engines.base import Sampling, Structure
from prefdata.engines.config import ModelParams
from prefdata.engines.vllm.loop import Request
from prefdata.engines.vllm.options import VllmOptions
from prefdata.engines.vllm.start import first_line, load, own_process, quiet
from prefdata.errors import ModelError

END_SECONDS = 10.0
"""After this vLLM's processes are killed, where they were asked to end and did not."""
READABLE = 128
"""How many tokens `reading` can ask for at once."""


_inside: list[VllmCore] = []
"""The cores that run in this process and were not freed yet."""
_working = threading.RLock()
"""Held while a core that runs in this process works: vLLM keeps one forward context for all of
them, so that two at once would read each other's caches, and write past their ends."""


class VllmCore:
    """A model loaded by vLLM, asked through `add` and `step`."""

    def __init__(self, name: str, params: ModelParams, options: VllmOptions) -> None:
        self.name = name
        self._inside = not own_process(options)
        self._alone = _working if self._inside else contextlib.nullcontext()
        self._closed = False
        with self._alone:
            self.llm, self._processes = load(name, params, options)
            if self._inside:
                _inside.append(self)
        self._engine: Any = self.llm.llm_engine
        config = self._engine.vllm_config
        self.max_length = int(config.model_config.max_model_len)
        self.running = int(config.scheduler_config.max_num_seqs)
        self._lora = _lora_request(options)

    def add(self, id: str, request: Request) -> str | None:
        """Take a request up; why not, where vLLM refuses it."""
        prompt = {"prompt_token_ids": request.ids}
        lora = {} if self._lora is None else {"lora_request": self._lora}
        try:
            with self._alone:
                self._engine.add_request(id, prompt, request.params(), **lora)
        except (ValueError, TypeError, _validation_error()) as error:
            return first_line(error)
        return None

    def step(self) -> list[tuple[str, Any]]:
        """One step of the batch: (id, output) of what finished."""
        try:
            with self._alone:
                outputs = self._engine.step()
        except Exception as error:
            raise ModelError(
                f"models.{self.name}: vLLM stopped working: {first_line(error)}",
                "Run again with --verbose to see what it logs; less max_num_seqs or "
                "gpu_memory_utilization leaves more memory free. Finished calls are kept.",
            ) from error
        return [(output.request_id, output) for output in outputs if output.finished]

    def abort(self, ids: list[str]) -> None:
        """Give requests up."""
        with self._alone:
            self._engine.abort_request(ids)

    def close(self) -> None:
        """End vLLM's processes and free what it holds.

        Cores in this process share vLLM's global state, which the first to end would take from
        the others: they are freed once the last of them is closed.
        """
        with self._alone:
            self._closed = True
            if not self._inside:
                self._shut_down()
            elif all(core._closed for core in _inside):
                while _inside:
                    _inside.pop()._shut_down()

    def _shut_down(self) -> None:
        import psutil

        with quiet():
            self._engine.engine_core.shutdown()
        _, alive = psutil.wait_procs(self._processes, timeout=END_SECONDS)
        for process in alive:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(alive, timeout=END_SECONDS)


def sampling(settings: Sampling, seed: int, max_tokens: int) -> Any:
    """Sample one response; log-probs are of the model's own distribution, at temperature 1."""
    from vllm import SamplingParams

    return SamplingParams(
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=settings.top_k,
        max_tokens=max_tokens,
        seed=seed,
        stop=list(settings.stop),
        # Text is made of the tokens once, at the end; only a stop text has to be seen before.
        detokenize=bool(settings.stop),
        logprobs=0,
        output_kind=_final_only(),
        structured_outputs=_structured(settings.structure),
    )


def reading(tokens: list[int], whole: bool) -> Any:
    """The log-probs of `tokens` right after the prompt; with `whole`, of the prompt's own too."""
    from vllm import SamplingParams

    return SamplingParams(
        temperature=0.0,
        max_tokens=1,
        detokenize=False,
        logprob_token_ids=tokens,
        prompt_logprobs=0 if whole else None,
        output_kind=_final_only(),
    )


def pooling(task: str) -> Any:
    """One vector a text (`embed`) or a token (`token_embed`)."""
    from vllm import PoolingParams

    return PoolingParams(task=task, use_activation=False)


def _structured(structure: Structure | None) -> Any:
    if structure is None:
        return None
    from vllm.sampling_params import StructuredOutputsParams

    return StructuredOutputsParams(
        json=structure.json_schema,
        regex=structure.regex,
        choice=list(structure.choice) if structure.choice else None,
    )


def _final_only() -> Any:
    from vllm.sampling_params import RequestOutputKind

    return RequestOutputKind.FINAL_ONLY


def _validation_error() -> type[Exception]:
    from vllm.exceptions import VLLMValidationError

    return VLLMValidationError


def _lora_request(options: VllmOptions) -> Any:
    if options.lora is None:
        return None
    from vllm.lora.request import LoRARequest

    return LoRARequest("adapter", 1, os.path.abspath(options.lora))


def cut_off(output: Any) -> str | None:
    """Why an output is none, where vLLM ended the request before its time."""
    responses = output.outputs
    reason = responses[0].finish_reason if isinstance(responses, list) else "stop"
    return None if reason in ("stop", "length") else f"server_error: vLLM ended it: {reason}"


def vectors(output: Any) -> np.ndarray:
    """What a pooling gave, in float32: (size,) or (tokens, size)."""
    return np.asarray(output.outputs.data.float().cpu())


def response_logprobs(output: Any, response: list[int]) -> list[float]:
    """Of a `reading` of prompt and response without its last token: log p of each response token."""
    before = output.prompt_logprobs[-(len(response) - 1) :] if len(response) > 1 else []
    inner = [each[token].logprob for each, token in zip(before, response[:-1], strict=True)]
    return [*inner, output.outputs[0].logprobs[0][response[-1]].logprob]
