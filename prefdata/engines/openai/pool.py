"""One connection pool over all addresses: balancing, time limits, and dead servers."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
from pydantic import SecretStr

from prefdata.engines.openai.bodies import MODELS_BYTES, find_limit, read_body
from prefdata.engines.openai.config import OpenAIOptions
from prefdata.engines.openai.faults import BadReply, Fault, explain_status, extract_message
from prefdata.engines.openai.redaction import Redaction
from prefdata.engines.openai.replies import parse_body, parse_models
from prefdata.engines.openai.servers import PROBE_FIRST, PROBE_MAX, Server, explain_error
from prefdata.errors import ModelError

KEEP_ALIVE = 4.0
"""Seconds an idle connection is kept: uvicorn, which serves vLLM, closes it after 5, and a request
sent just then would be lost."""
FAILURES_OUT = 5
"""The number of failures in a row after which a server is taken out, if there is another one."""
LISTEN_SECONDS, SILENT_SECONDS, MISSED_OUT = 10.0, 30.0, 2
"""A server hangs if it was silent for SILENT_SECONDS and then missed MISSED_OUT probes, one every
LISTEN_SECONDS. Its requests need not wait for their time limits."""
RESUME = "What was finished is kept: run the same command again to go on from there."


class Pool:
    """The servers of one model. Sends to the one with the fewest requests in flight.

    Lives in one event loop.
    """

    def __init__(self, name: str, model: str, options: OpenAIOptions, key: SecretStr | None):
        self.name, self.model, self.options = name, model, options
        secret = key.get_secret_value() if key else ""
        self.redaction = Redaction(secret)
        self.servers = [Server(url) for url in options.base_urls]
        self.slots = asyncio.Semaphore(options.concurrency)
        self._picks = 0
        self._all_dead_since: float | None = None
        self._changed = asyncio.Event()
        self._gone: ModelError | None = None
        self._lost: set[asyncio.Task[Any]] = set()
        self._listening = asyncio.create_task(self._listen())
        headers = {"Content-Type": "application/json", "User-Agent": "prefdata"}
        if key:
            headers["Authorization"] = f"Bearer {secret}"
        limits = options.timeout_seconds
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=options.concurrency + len(self.servers), keepalive_timeout=KEEP_ALIVE
            ),
            headers=headers,
            timeout=aiohttp.ClientTimeout(
                total=limits.total, sock_connect=limits.connect, sock_read=limits.read
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        """Close all connections."""
        self._listening.cancel()
        for server in self.servers:
            if server.watch:
                server.watch.cancel()
        await self._session.close()

    async def check(self) -> None:
        """Ask every server for its list of models, once, and take dead ones in again.

        Raises ModelError if no server can be reached, one refuses the key, or one does not serve
        the model.
        """
        self._gone = self._all_dead_since = None
        for server in self.servers:
            server.dead = False
            if server.watch:
                server.watch.cancel()
        await asyncio.gather(*(self._check(server) for server in self.servers))
        if all(server.dead for server in self.servers):
            reasons = "; ".join(f"{s.url}: {s.reason}" for s in self.servers)
            raise ModelError(
                f"models.{self.name}: no server can be reached: {reasons}",
                f"Start the server, or correct models.{self.name}.options.base_urls.",
            )

    async def _check(self, server: Server) -> None:
        where = f"models.{self.name}"
        try:
            status, content = await self._fetch_models(server)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            self._take_out(server, explain_error(error))
            return
        if status in (401, 403):
            raise ModelError(
                f"{where}: {server.url} refuses the key (HTTP {status})"
                if "Authorization" in self._session.headers
                else f"{where}: {server.url} wants a key (HTTP {status})",
                f"Set {where}.options.api_key_env to the name of an environment variable that "
                "holds a valid one.",
            )
        if status >= 500 or status == 429:
            self._take_out(server, f"HTTP {status}: {extract_message(content)}")
            return
        served = parse_models(content) if status == 200 else None
        if served is None:
            return  # It has no list of models; the first requests will tell.
        if self.model not in served:
            names = ", ".join(sorted(served)[:10]) or "nothing"
            raise ModelError(
                f"{where}.model: {server.url} does not serve {self.model!r}; it serves: "
                f"{self.redaction.redact_error(names)}",
                f"Set {where}.model to one of these, or serve the model there.",
            )
        if served[self.model] == "vllm" and self.options.server == "openai":
            # For what OpenAI's API does not have (top_k, min_p, repetition penalty) vLLM takes
            # the model's own defaults: responses would come from another distribution.
            raise ModelError(
                f"{where}.options.server: {server.url} is vLLM",
                f"Set {where}.options.server: vllm.",
            )

    async def _fetch_models(self, server: Server) -> tuple[int, bytes]:
        limit = self.options.timeout_seconds.connect
        timeout = aiohttp.ClientTimeout(total=2 * limit, sock_connect=limit, sock_read=limit)
        async with self._session.get(
            server.url + "/models", timeout=timeout, allow_redirects=False
        ) as response:
            return response.status, await read_body(response, MODELS_BYTES)

    async def post(self, path: str, body: bytes, size: int, avoid: object = None) -> Any:
        """Send a body and return the reply's JSON, for which a good server needs `size` bytes at
        most. Raises Fault, or ModelError if all servers are gone."""
        task = asyncio.current_task()
        assert task is not None
        limit = find_limit(self.options, size)
        async with self.slots:
            server = await self._pick(avoid)
            if not server.asking:
                server.heard = time.monotonic()
            server.asking.add(task)
            try:
                # The key is sent only to the addresses in the settings, not to redirects.
                async with self._session.post(
                    server.make_address(path), data=body, allow_redirects=False
                ) as response:
                    content = await read_body(response, limit)
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
                raise self._explain_exception(server, error) from None
            except asyncio.CancelledError:
                if task not in self._lost:
                    raise
                self._lost.remove(task)
                task.uncancel()
                raise Fault("timeout", "the server fell silent", retry=True) from None
            finally:
                server.asking.discard(task)
        server.heard = time.monotonic()
        if response.status == 200:
            try:
                reply = parse_body(content, limit)
            except BadReply as unreadable:
                raise self._count_failure(server, unreadable) from None
            server.failures, server.probe = 0, PROBE_FIRST
            return reply
        fault = explain_status(response.status, response.headers, content)
        if fault.after:
            server.resume_at = max(server.resume_at, time.monotonic() + fault.after)
        if fault.retry and response.status != 429:
            raise self._count_failure(server, fault)
        server.failures = 0
        fault.server = server
        raise fault

    def has_another(self, server: object) -> bool:
        """Whether a server other than this one can take a request now."""
        now = time.monotonic()
        return any(s is not server and not s.dead and s.resume_at <= now for s in self.servers)

    async def _pick(self, avoid: object) -> Server:
        while True:
            if self._gone is not None:
                raise self._gone
            now = time.monotonic()
            alive = [s for s in self.servers if not s.dead]
            ready = [s for s in alive if s.resume_at <= now]
            if ready:
                others = [s for s in ready if s is not avoid]
                server = min(others or ready, key=lambda s: (len(s.asking), s.picked))
                self._picks += 1
                server.picked = self._picks
                return server
            if alive:
                await asyncio.sleep(min(s.resume_at for s in alive) - now)
            else:
                self._changed.clear()
                await self._changed.wait()

    async def _listen(self) -> None:
        """Take out servers that hang."""
        while True:
            await asyncio.sleep(LISTEN_SECONDS)
            for server in self.servers:
                silent = time.monotonic() - server.heard
                if server.dead or not server.asking or silent < SILENT_SECONDS:
                    server.missed = 0
                    continue
                try:
                    await self._fetch_models(server)
                    server.missed = 0
                except (aiohttp.ClientError, OSError, TimeoutError) as error:
                    server.missed += 1
                    if server.missed >= MISSED_OUT:
                        self._take_out(
                            server, f"silent for {silent:.0f} s, and then {explain_error(error)}"
                        )
                        self._lost |= server.asking
                        for task in server.asking:
                            task.cancel()

    def _explain_exception(self, server: Server, error: Exception) -> Fault:
        """The fault behind an exception. Its text names no host or port: it may go into a table."""
        limits = self.options.timeout_seconds
        if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
            self._take_out(server, explain_error(error))
            return Fault("server_error", "no connection", retry=True, unreached=True)
        if isinstance(error, TimeoutError):
            silent = isinstance(error, aiohttp.SocketTimeoutError)
            field, limit = ("read", limits.read) if silent else ("total", limits.total)
            text = f"no whole reply in {limit:g} s (options.timeout_seconds.{field})"
            return self._count_failure(server, Fault("timeout", text, retry=True))
        text = "the connection broke before the whole reply was there"
        return self._count_failure(server, Fault("server_error", text, retry=True))

    def _count_failure(self, server: Server, fault: Fault) -> Fault:
        fault.server = server
        server.failures += 1
        # A server that fails fast would otherwise attract all requests.
        if server.failures >= FAILURES_OUT and any(
            s is not server and not s.dead for s in self.servers
        ):
            self._take_out(server, str(fault))
        return fault

    def _take_out(self, server: Server, reason: str) -> None:
        server.reason = self.redaction.redact_error(reason)
        if server.dead:
            return
        server.dead = True
        if all(s.dead for s in self.servers):
            self._all_dead_since = time.monotonic()
        server.watch = asyncio.get_running_loop().create_task(self._watch(server))

    async def _watch(self, server: Server) -> None:
        """Probe a dead server until it replies; give up when all have been dead too long."""
        while True:
            pause = server.probe
            if self._all_dead_since is not None:
                left = self._all_dead_since + self.options.wait_seconds - time.monotonic()
                pause = min(pause, max(left, 0.05))
            await asyncio.sleep(pause)
            server.probe = min(2 * server.probe, PROBE_MAX)
            try:
                status, _ = await self._fetch_models(server)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                server.reason = explain_error(error)
            else:
                if status < 500:
                    server.dead = False
                    server.failures = FAILURES_OUT - 1
                    self._all_dead_since = None
                    self._changed.set()
                    return
            since = self._all_dead_since
            if since is not None and time.monotonic() - since >= self.options.wait_seconds:
                reasons = "; ".join(f"{s.url}: {s.reason}" for s in self.servers)
                self._gone = ModelError(
                    f"models.{self.name}: every server is gone, for "
                    f"{self.options.wait_seconds:g} s (options.wait_seconds): {reasons}",
                    f"Start the server again. {RESUME}",
                )
                self._changed.set()
                return

    @property
    def is_given_up(self) -> bool:
        """Whether all servers were given up."""
        return self._gone is not None
