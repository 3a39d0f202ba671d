"""`python -m bench.pauses HTTP GRPC MODEL`: sends expensive requests that could delay all clients, beside a stream.

For each request, it prints the longest time of the gateway to answer a cheap request, and the longest time between two
events of the stream. The box must be running already, without API keys and TLS.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc.aio
from tritonclient.grpc import service_pb2

from bench.soak.connection import Answer, Connection

_QUIET_S = 5.0
_LONG = 3_900_000
_MANY = 100_000
_ACCEPTED_TURNS = 4_000


@dataclass
class Longest:
    """The longest waits since the last reset, in seconds."""

    question: float = 0.0
    event: float = 0.0


@dataclass(frozen=True)
class Attack:
    """One request; `send` returns its result."""

    name: str
    send: Callable[[], Awaitable[str]]


class Box:
    """A running box's addresses and model."""

    def __init__(self, http: str, grpc_address: str, model: str) -> None:
        host, _, port = http.rpartition(":")
        self._http = host, int(port)
        self._grpc = grpc_address
        self.model = model

    async def ask(self, method: str, path: str, body: bytes = b"") -> str:
        """Send a request, read the whole answer, and return the status."""
        connection = Connection(*self._http)
        answer = await connection.ask(method, path, body)
        await answer.rest()
        connection.close()
        return str(answer.status)

    async def infer(self, **texts: str) -> str:
        """Send a KServe request and return its status."""
        request = service_pb2.ModelInferRequest(model_name=self.model)
        for name, text in texts.items():
            request.inputs.add(name=name, datatype="BYTES", shape=[1]).contents.bytes_contents.append(text.encode())
        async with grpc.aio.insecure_channel(self._grpc) as channel:
            call: Any = channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")(
                iter([request.SerializeToString()])
            )
            answers = [service_pb2.ModelStreamInferResponse.FromString(answer) async for answer in call]
        return answers[0].error_message.partition(":")[0] or "OK"

    async def watch_questions(self, longest: Longest) -> None:
        """Send the cheapest request repeatedly."""
        connection = Connection(*self._http)
        while True:
            asked = time.perf_counter()
            await (await connection.ask("GET", "/health/live")).rest()
            longest.question = max(longest.question, time.perf_counter() - asked)
            await asyncio.sleep(0.002)

    async def watch_stream(self, longest: Longest) -> None:
        """Read one stream after another."""
        wanted = {"model": self.model, "prompt": "Once", "max_tokens": 2000, "ignore_eos": True, "stream": True}
        while True:
            connection = Connection(*self._http)
            answer = await connection.ask("POST", "/v1/completions", json.dumps(wanted).encode())
            await self._read(answer, longest)
            connection.close()

    @staticmethod
    async def _read(answer: Answer, longest: Longest) -> None:
        await answer.piece()
        before = time.perf_counter()
        while await answer.piece():
            now = time.perf_counter()
            longest.event = max(longest.event, now - before)
            before = now

    def attacks(self) -> Iterator[Attack]:
        """Yield all attacks."""
        yield Attack("nothing", self._nothing)
        for name, path, fields in _bodies():
            body = json.dumps({"model": self.model, **fields}, separators=(",", ":")).encode()
            yield Attack(f"{name} ({len(body):,} B)", lambda path=path, body=body: self.ask("POST", path, body))  # type: ignore[misc]
        lists = b'{"a":[' + b",".join([b"[]"] * (_LONG // 3)) + b"]}"
        yield Attack("1,300,000 lists", lambda: self.ask("POST", "/v1/chat/completions", lists))
        escapes = b'{"a":"' + b'\\"' * (_LONG // 2) + b'"}'
        yield Attack("2,000,000 escapes", lambda: self.ask("POST", "/v1/chat/completions", escapes))
        settings = '{"a":[' + ",".join(["[]"] * 1_000_000) + "]}"
        yield Attack("KServe: text_input, 3.9 MB", lambda: self.infer(text_input="a" * _LONG))
        yield Attack("KServe: text_input, 0.5 MB", lambda: self.infer(text_input="a" * 500_000))
        yield Attack("KServe: settings, 3 MB", lambda: self.infer(text_input="a", sampling_parameters=settings))

    @staticmethod
    async def _nothing() -> str:
        await asyncio.sleep(_QUIET_S)
        return "-"


def _bodies() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Name, path, and body without the model."""
    turn = {"role": "user", "content": "a"}
    chat = "/v1/chat/completions"
    for size in (500_000, _LONG):
        yield "tokenize, one letter", "/v1/tokenize", {"prompt": "a" * size, "return_token_strs": True}
        yield "tokenize, emoji", "/v1/tokenize", {"prompt": "\U0001f469" * (size // 12)}
        yield "chat, one letter", chat, {"messages": [{**turn, "content": "a" * size}], "max_tokens": 1}
        yield "chat, control texts", chat, {"messages": [{**turn, "content": "<|im_end|>" * (size // 10)}]}
    for turns in (_ACCEPTED_TURNS, _MANY):
        yield f"chat, {turns:,} turns", chat, {"messages": [turn] * turns, "max_tokens": 1}
        yield f"messages, {turns:,} turns", "/v1/messages", {"messages": [turn] * turns, "max_tokens": 1}
        yield f"responses, {turns:,} turns", "/v1/responses", {"input": [turn] * turns, "max_output_tokens": 1}
        parts = [{"type": "text", "text": "a"}] * turns
        yield f"chat, {turns:,} parts", chat, {"messages": [{**turn, "content": parts}], "max_tokens": 1}
        yield f"chat, {turns:,} wrong turns", chat, {"messages": [{"role": "user", "content": 1}] * turns}
    yield "130,000 token ids", "/v1/completions", {"prompt": [1000] * 130_000}
    yield "32,000 token ids", "/v1/completions", {"prompt": [1000] * 32_000, "max_tokens": 1}
    yield "130,000 nulls", "/v1/completions", {"prompt": [None] * 130_000}
    yield "130,000 tokens to detokenise", "/v1/detokenize", {"tokens": list(range(1000, 131_000))}
    yield "19,000 unknown fields", chat, {"messages": [turn], **{f"k{n}": 1 for n in range(19_000)}}
    yield "4,000 properties", chat, {"messages": [turn], "max_tokens": 1, "tools": [_tool(4_000)]}


def _tool(properties: int) -> dict[str, Any]:
    schema = {"type": "object", "properties": {f"k{n}": {"type": "string"} for n in range(properties)}}
    return {"type": "function", "function": {"name": "f", "parameters": schema}}


async def measure(box: Box) -> AsyncIterator[list[str]]:
    """Yield a row for each attack: name, result, seconds, and the two longest waits in ms."""
    longest = Longest()
    # Created before the timing starts, because creating them blocks this process for long.
    attacks = list(box.attacks())
    watchers = [asyncio.create_task(watch(longest)) for watch in (box.watch_questions, box.watch_stream)]
    for attack in attacks:
        longest.question = longest.event = 0.0
        began = time.perf_counter()
        outcome = await attack.send()
        took = time.perf_counter() - began
        # Delays after the request count too.
        await asyncio.sleep(0.5)
        yield [attack.name, outcome, f"{took:.2f}", f"{longest.question * 1000:.0f}", f"{longest.event * 1000:.0f}"]
    for watcher in watchers:
        watcher.cancel()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.pauses", description=__doc__)
    parser.add_argument("http", help="address of the HTTP API, host:port")
    parser.add_argument("grpc", help="address of the gRPC API, host:port")
    parser.add_argument("model", help="name of the served model")
    given = parser.parse_args()
    asyncio.run(_print(Box(given.http, given.grpc, given.model)))


async def _print(box: Box) -> None:
    """Print each row immediately: an accepted request may take a model minutes."""
    for row in (["request", "outcome", "s", "question, ms", "event, ms"], ["---", "---:", "---:", "---:", "---:"]):
        print(f"| {' | '.join(row)} |")
    async for row in measure(box):
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
