"""From nothing but the installed package to a dataset: init, run and verify, on a server's model.

It runs in a folder of its own, with the Python of the environment that is tried.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import prefdata

PROMPTS = 40
LIKELY, UNLIKELY = -0.01, -5.0


class Server(BaseHTTPRequestHandler):
    """Speaks as much of OpenAI's API as the flow asks for; all answers follow from the request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """List the model."""
        self._reply({"data": [{"id": "tiny"}]})

    def do_POST(self) -> None:
        """Complete a chat; where log-probs of A and B are asked for, prefer one of them."""
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        body, digest = json.loads(raw), hashlib.sha256(raw).hexdigest()
        words = [digest[n : n + 4] for n in range(0, 32, 4)][: body["max_tokens"]]
        content: list[dict[str, Any]] = [{"token": word, "logprob": LIKELY} for word in words]
        if "top_logprobs" in body:
            order = "AB" if int(digest[0], 16) < 8 else "BA"
            pairs = zip(order, (LIKELY, UNLIKELY), strict=True)
            content[0]["top_logprobs"] = [{"token": t, "logprob": p} for t, p in pairs]
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": " ".join(words)},
            "finish_reason": "stop",
            "logprobs": {"content": content} if body.get("logprobs") else None,
        }
        usage = {"prompt_tokens": 9, "completion_tokens": len(words)}
        self._reply({"choices": [choice], "usage": usage})

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _reply(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def run(*arguments: str) -> str:
    """The output of a command of the installed package. Raises CalledProcessError."""
    print("$ prefdata", *arguments, flush=True)
    done = subprocess.run(["prefdata", *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def main() -> None:
    """Make the dataset, and check that it is sound."""
    assert Path(prefdata.__file__).is_relative_to(sys.prefix), prefdata.__file__
    lines = [json.dumps({"question": f"What is {n} times {n}?"}) for n in range(PROMPTS)]
    Path("questions.jsonl").write_text("\n".join(lines) + "\n")
    # The engine opens many connections at once; those beyond the queue would wait for a second.
    ThreadingHTTPServer.request_queue_size = 256
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/v1"
    model = ["--engine", "openai", "--model", "tiny", "--url", url]
    print(run("init", "--prompts", "questions.jsonl", *model))
    assert run("describe", "judge", "pairwise").startswith("judge pairwise (prefdata)")
    print(run("run", "--quiet"))
    verified = json.loads(run("verify", "--json"))
    assert verified["sound"], verified
    rows = prefdata.read(prefdata.load_params("params.yaml"), "filtered").height
    assert rows > PROMPTS / 2, rows
    print(f"installed, not cloned: {rows} pairs of {PROMPTS} prompts")


if __name__ == "__main__":
    main()
