"""A running vLLM. vLLM's state is global to the process, so all runs in a process share it."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import Any

from prefdata.engines.vllm.config import VllmConfig, VllmOptions
from prefdata.engines.vllm.loop import Request
from prefdata.engines.vllm.start import load_llm, silence_logs, take_first_line, uses_own_process
from prefdata.errors import ModelError

END_SECONDS = 10.0
"""vLLM's processes are killed if they have not ended this long after they were asked to."""

_inside: list[VllmCore] = []
"""The cores that run in this process and are not freed yet. They share vLLM's global state,
whichever run loaded them, and the last of them frees it."""
_working = threading.RLock()
"""Held while a core in this process works: vLLM keeps one forward context for all cores, so two at
once would read each other's caches and write past their ends."""


class VllmCore:
    """A model loaded by vLLM, which the loop feeds and steps."""

    def __init__(self, name: str, config: VllmConfig) -> None:
        self.name = name
        options = config.options
        self._inside = not uses_own_process(options)
        self._alone = _working if self._inside else contextlib.nullcontext()
        self._closed = False
        with self._alone:
            self.llm, self._processes = load_llm(name, config)
            if self._inside:
                _inside.append(self)
        self._engine: Any = self.llm.llm_engine
        loaded = self._engine.vllm_config
        self.max_length = int(loaded.model_config.max_model_len)
        self.running = int(loaded.scheduler_config.max_num_seqs)
        self._lora = _make_lora_request(options)

    def add(self, id: str, request: Request) -> str | None:
        """Add a request. Returns the reason if vLLM refuses it."""
        prompt = {"prompt_token_ids": request.ids}
        lora = {} if self._lora is None else {"lora_request": self._lora}
        try:
            with self._alone:
                self._engine.add_request(id, prompt, request.params(), **lora)
        except (ValueError, TypeError, _import_validation_error()) as error:
            return take_first_line(error)
        return None

    def step(self) -> list[tuple[str, Any]]:
        """Run one step of the batch. Returns (id, output) of the finished requests."""
        try:
            with self._alone:
                outputs = self._engine.step()
        except Exception as error:
            raise ModelError(
                f"models.{self.name}: vLLM stopped working: {take_first_line(error)}",
                "Run again with --verbose to see what it logs; less max_num_seqs or "
                "gpu_memory_utilization leaves more memory free. Finished calls are kept.",
            ) from error
        return [(output.request_id, output) for output in outputs if output.finished]

    def abort(self, ids: list[str]) -> None:
        """Abort requests."""
        with self._alone:
            self._engine.abort_request(ids)

    def close(self) -> None:
        """End vLLM's processes and free its memory.

        Cores in this process share vLLM's global state, so they are freed only once the last of
        them is closed.
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

        with silence_logs():
            self._engine.engine_core.shutdown()
        _, alive = psutil.wait_procs(self._processes, timeout=END_SECONDS)
        for process in alive:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(alive, timeout=END_SECONDS)


def _make_lora_request(options: VllmOptions) -> Any:
    if options.lora is None:
        return None
    from vllm.lora.request import LoRARequest

    return LoRARequest("adapter", 1, os.path.abspath(options.lora))


def _import_validation_error() -> type[Exception]:
    from vllm.exceptions import VLLMValidationError

    return VLLMValidationError
