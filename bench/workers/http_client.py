"""A streaming client of `/v1/completions` with little overhead: it shares the cores with the measured engine.

It counts events and parses only the event with the usage.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.workers.timeline import Timeline, spread_tokens

_EVENT = b"data: {"
_USAGE = b'"usage":{'


@dataclass(frozen=True)
class Client:
    """The gateway's address and the model."""

    host: str
    port: int
    model: str

    async def is_ready(self) -> bool:
        """Whether the gateway reports that it is ready."""
        try:
            reader, writer = await asyncio.open_connection(self.host, self.port)
        except OSError:
            return False
        try:
            writer.write(f"GET /health/ready HTTP/1.1\r\nhost: {self.host}\r\nconnection: close\r\n\r\n".encode())
            return (await reader.readline()).split()[1:2] == [b"200"]
        except OSError:
            return False
        finally:
            writer.transport.abort()

    async def models_per_s(self, calls: int, connections: int) -> float:
        """Send `calls` requests for `/v1/models`, sequentially on each connection; returns requests/s.

        Raises:
            RuntimeError: an answer is an error.
        """
        began = time.perf_counter()
        await asyncio.gather(*(self._ask_models(calls // connections) for _ in range(connections)))
        return calls // connections * connections / (time.perf_counter() - began)

    async def _ask_models(self, calls: int) -> None:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            for _ in range(calls):
                writer.write(f"GET /v1/models HTTP/1.1\r\nhost: {self.host}\r\n\r\n".encode())
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                if head.split(None, 2)[1] != b"200":
                    raise RuntimeError(f"the gateway answered {head!r}")
                await reader.readexactly(int(head.partition(b"content-length: ")[2].split(None, 1)[0]))
        finally:
            writer.transport.abort()

    async def complete(
        self, prompt: Sequence[int], tokens: int, first: asyncio.Event | None = None, *, to_end: bool = False
    ) -> Timeline:
        """Stream one greedy completion; `first` is set with its first token. `to_end`: an end token ends it.

        Raises:
            RuntimeError: the answer is an error, or was interrupted.
        """
        body = json.dumps(
            {
                "model": self.model,
                "prompt": list(prompt),
                "max_tokens": tokens,
                "temperature": 0,
                "repetition_penalty": 1,
                "ignore_eos": not to_end,
                "stream": True,
                "stream_options": {"include_usage": True},
            }
        ).encode()
        asked = time.perf_counter()
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            head = f"POST /v1/completions HTTP/1.1\r\nhost: {self.host}\r\ncontent-type: application/json\r\n"
            writer.write(f"{head}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body)
            return await _read_answer(reader, asked, first)
        finally:
            writer.transport.abort()


async def _read_answer(reader: asyncio.StreamReader, asked: float, first: asyncio.Event | None) -> Timeline:
    head = await reader.readuntil(b"\r\n\r\n")
    if head.split(None, 2)[1] != b"200":
        raise RuntimeError(f"the gateway answered {head!r} {await reader.read()!r}")
    arrivals: list[float] = []
    tokens = 0
    while size := int(await reader.readline(), 16):
        chunk = await reader.readexactly(size + 2)
        now = time.perf_counter() - asked
        for line in chunk.splitlines():
            if not line.startswith(_EVENT):
                continue
            if _USAGE in line:
                tokens = json.loads(line[len(b"data: ") :])["usage"]["completion_tokens"]
            elif not arrivals or b'"finish_reason":null' in line:
                # A completion without a complete character has no piece before the end.
                arrivals.append(now)
                if first is not None:
                    first.set()
    if not arrivals or not tokens:
        raise RuntimeError("the stream ended without tokens or without its usage")
    return spread_tokens(arrivals, tokens)
