"""The openai engine through Inference, memo on, against a bare asynchronous client.

Both send the same requests with the same concurrency to the same server, in turns, in one run, and
read text, token counts and log-probs from every response. The server is a process of its own that
replies at once with TOKENS tokens: whatever the engine costs, it costs here. On a real server,
which takes its time, less of it shows: give one with --url and --model.

    python benchmarks/engines_server.py            10 turns of 2,000 requests
    python benchmarks/engines_server.py --quick    10 turns of 1,000 requests
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import aiohttp
import orjson
import polars as pl
from machine import report

from prefdata.engines.base import Sampling, request_key_seed
from prefdata.engines.openai.clients.generate import SEED_MASK
from prefdata.engines.openai.config import OpenAIConfig
from prefdata.engines.openai.engine import OpenAIEngine
from prefdata.hashing.ids import prompt_id
from prefdata.inference import Inference, Memo
from prefdata.inference.keys import request_keys
from prefdata.messages.columns import MESSAGES

CONCURRENCY = 64
TOKENS = 48
TURNS = 10
SETTINGS = Sampling(temperature=0.8, max_tokens=TOKENS)
MODEL = "fake"


def completion() -> bytes:
    """A chat completion with log-probs, as vLLM writes it."""
    words = [f" word{i}" for i in range(TOKENS)]
    entry = {"logprob": -1.2345678901234567, "top_logprobs": []}
    content = [{"token": word, "bytes": list(word.encode()), **entry} for word in words]
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "".join(words)},
        "finish_reason": "length",
        "logprobs": {"content": content},
    }
    usage = {"prompt_tokens": 30, "completion_tokens": TOKENS, "total_tokens": 30 + TOKENS}
    return orjson.dumps({"object": "chat.completion", "choices": [choice], "usage": usage})


class FakeServer(asyncio.Protocol):
    """Replies to every POST with the same completion, and to GET with the list of models."""

    completion = completion()
    models = orjson.dumps({"data": [{"id": MODEL}]})

    def connection_made(self, transport: Any) -> None:
        self.transport, self.buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            at = head.find(b"content-length: ")
            length = int(head[at + 16 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.buffer) < end + 4 + length:
                return
            self.buffer = self.buffer[end + 4 + length :]
            body = self.models if head.startswith(b"get") else self.completion
            self.transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                % len(body)
                + body
            )


async def serve() -> None:
    """Listen at any port, and say which."""
    server = await asyncio.get_running_loop().create_server(FakeServer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def requests(count: int, turn: int) -> pl.DataFrame:
    """`count` prompts of about 200 characters, other ones each turn."""
    texts = [
        f"{turn}.{i}: why does the old river bend so far from the map? " * 4 for i in range(count)
    ]
    rows = [
        {
            "prompt_id": prompt_id([("user", text)]),
            "messages": [{"role": "user", "content": text}],
            "sample_index": 0,
        }
        for text in texts
    ]
    return pl.DataFrame(rows, schema_overrides={"messages": MESSAGES})


async def bare(url: str, model: str, key: str, rows: pl.DataFrame) -> int:
    """Tokens that a client of some lines gets: workers that take from one list."""
    keys = request_keys("", "generate", SETTINGS, rows, ["messages", "sample_index"])
    waiting = list(zip(rows["messages"].to_list(), keys.to_list(), strict=True))
    responses: list[tuple[str, int, str, float]] = []

    async def work(session: aiohttp.ClientSession) -> None:
        while waiting:
            messages, request_key = waiting.pop()
            body = {
                "model": model,
                "messages": messages,
                "n": 1,
                "temperature": SETTINGS.temperature,
                "top_p": SETTINGS.top_p,
                "max_tokens": SETTINGS.max_tokens,
                "logprobs": True,
                "seed": request_key_seed(request_key) & SEED_MASK,
            }
            async with session.post(f"{url}/chat/completions", json=body) as response:
                response.raise_for_status()
                response = await response.json()
            choice = response["choices"][0]
            total = sum(entry["logprob"] for entry in choice["logprobs"]["content"])
            count = response["usage"]["completion_tokens"]
            responses.append((choice["message"]["content"], count, choice["finish_reason"], total))

    headers = {"Authorization": f"Bearer {key}"} if key else {}
    connector = aiohttp.TCPConnector(limit=CONCURRENCY)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        await asyncio.gather(*(work(session) for _ in range(CONCURRENCY)))
    assert len(responses) == rows.height
    return sum(count for _, count, _, _ in responses)


def through_inference(engine: OpenAIEngine, rows: pl.DataFrame) -> int:
    """Tokens that the engine gets, every response kept in a memo."""
    with tempfile.TemporaryDirectory() as folder:
        inference = Inference({"policy": engine}, Memo(folder))
        results = inference.ask("policy", "generate", SETTINGS, rows)
    assert results["error"].null_count() == rows.height
    return int(results["n_tokens"].sum())


def timed(work: Callable[[], int]) -> tuple[float, float]:
    """(tokens a second, seconds of processor time of this process)."""
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    tokens = work()
    seconds = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return tokens / seconds, used


def measure(url: str, model: str, key_env: str | None, count: int, turns: int) -> dict[str, Any]:
    """Turns of both, one after the other; the median of the turns' ratios."""
    options = {"base_urls": [url], "concurrency": CONCURRENCY, "api_key_env": key_env}
    if model != MODEL:
        options["server"] = "vllm"
    engine = OpenAIEngine("policy", OpenAIConfig(model=model, options=options))
    engine.start()
    key = os.environ.get(key_env, "") if key_env else ""
    rates: dict[str, list[tuple[float, float]]] = {"engine": [], "bare": []}
    try:
        for turn in range(-1, turns):
            some, others = requests(count, 2 * turn), requests(count, 2 * turn + 1)
            ours = timed(partial(through_inference, engine, some))
            plain = timed(lambda: asyncio.run(bare(url, model, key, others)))  # noqa: B023
            # The first turn warms both up.
            if turn >= 0:
                rates["engine"].append(ours)
                rates["bare"].append(plain)
    finally:
        engine.close()
    ratios = [ours[0] / plain[0] for ours, plain in zip(*rates.values(), strict=True)]
    used = {name: statistics.median(u for _, u in found) for name, found in rates.items()}
    speed = {name: statistics.median(r for r, _ in found) for name, found in rates.items()}
    print(
        f"server, {count} requests a turn, engine and bare: {speed['engine']:,.0f} and "
        f"{speed['bare']:,.0f} tokens/s, {used['engine']:.2f} and {used['bare']:.2f} processor "
        f"seconds; ratios of the turns: {', '.join(f'{ratio:.3f}' for ratio in ratios)}"
    )
    return {
        "server_ratio": round(statistics.median(ratios), 3),
        "server_requests": count * turns,
        "server_tokens_per_s": round(speed["engine"]),
        "server_tokens_per_s_bare": round(speed["bare"]),
        "server_cpu_ratio": round(used["engine"] / used["bare"], 3),
    }


def measure_fake(quick: bool) -> dict[str, Any]:
    """The same on the server of this file, started and ended here."""
    command = [sys.executable, __file__, "--serve"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        url = f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        return measure(url, MODEL, None, 1_000 if quick else 2_000, TURNS)
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="half the requests")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--url", help="a real vLLM server, with /v1")
    parser.add_argument("--model", help="the model it serves")
    parser.add_argument("--api-key-env", help="the variable that holds its key")
    parser.add_argument("--requests", type=int, default=500, help="a turn, on a real server")
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve())
    elif given.url:
        found = measure(given.url, given.model, given.api_key_env, given.requests, turns=2)
        report(benchmark="engines_server", **found)
    else:
        report(benchmark="engines_server", **measure_fake(given.quick))


if __name__ == "__main__":
    main()
