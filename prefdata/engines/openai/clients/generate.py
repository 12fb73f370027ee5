"""Generate: chat completions."""

from __future__ import annotations

from typing import Any

import orjson

from prefdata.engines.base import Operation, Sampling, request_key_seed
from prefdata.engines.openai.bodies import TOKEN_BYTES
from prefdata.engines.openai.clients.base import HELLO, Client, Post, Row, Unit
from prefdata.engines.openai.faults import BadReply
from prefdata.engines.openai.replies import parse_generation
from prefdata.messages.chat_form import parse_tools, to_chat

SEED_MASK = 0x7FFF_FFFF
"""Some servers only take seeds of 32 bits, signed or unsigned."""


class GenerateClient(Client):
    """One chat completion per sample, seeded by its key."""

    operation: Operation = "generate"
    settings: Sampling

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        sampling = self.settings
        self.fixed |= {
            "n": 1,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            self.options.max_tokens_field: sampling.max_tokens,
        }
        if self.options.logprobs:
            self.fixed["logprobs"] = True
        if sampling.stop:
            self.fixed["stop"] = list(sampling.stop)
        if self.vllm:
            # vLLM would take settings left out here from the model's generation_config.json.
            self.fixed |= {"top_k": sampling.top_k, "min_p": 0.0, "repetition_penalty": 1.0}
        if sampling.structure:
            self.fixed |= _describe_structure(sampling)

    async def send(self, unit: Unit, post: Post) -> list[Row]:
        (key,), row = unit.keys, self.name_content(unit)
        body = {**self.fixed, "messages": to_chat(row["messages"], "text")}
        if row["tools"] is not None:
            body["tools"] = parse_tools(row["tools"])
        if self.options.send_seed:
            body["seed"] = request_key_seed(key) & SEED_MASK
        size = self.settings.max_tokens * TOKEN_BYTES
        reply = await post("/chat/completions", orjson.dumps(body), size)
        generation = parse_generation(reply, self.options.logprobs, exact=self.vllm)
        self._check_structure(generation.text, generation.finish_reason)
        return [(key, *generation, None)]

    def make_canary(self) -> Unit:
        return Unit([bytes(16)], [HELLO])

    def _check_structure(self, text: str, reason: str) -> None:
        """Check that the text has the structure: a server that does not know the field ignores
        it."""
        structure = self.settings.structure
        if structure is None or reason != "stop":
            return
        if structure.choice and text not in structure.choice:
            raise BadReply(f"{text!r:.40} is none of the choices", lacking=True)
        if structure.json_schema:
            try:
                orjson.loads(text)
            except orjson.JSONDecodeError:
                raise BadReply("the text is not the JSON asked for", lacking=True) from None


def _describe_structure(settings: Sampling) -> dict[str, Any]:
    structure = settings.structure
    assert structure is not None
    if structure.json_schema is not None:
        schema = {"name": "answer", "schema": orjson.loads(structure.json_schema), "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}
    return {"structured_outputs": structure.model_dump(exclude_none=True)}
