"""A Triton in Triton's place: the KServe streaming service, answering by a script that the test sets."""

from __future__ import annotations

import asyncio
import json
import struct
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc

from appliance.inference.tensors import OPENS_STREAM
from appliance.triton import sockets


@dataclass(frozen=True)
class Asked:
    """One request as the model would see it."""

    request_id: str
    model: str
    prompt_ids: tuple[int, ...]
    stream: bool
    sampling: dict[str, Any]
    options: dict[str, Any]
    inputs: frozenset[str]
    principal: str

    @classmethod
    def from_message(cls, message: Any) -> Asked:
        raw = {one.name: content for one, content in zip(message.inputs, message.raw_input_contents, strict=True)}
        ids = raw["input_ids"]
        return cls(
            message.id,
            message.model_name,
            struct.unpack(f"<{len(ids) // 4}i", ids),
            raw["stream"] == b"\x01",
            json.loads(raw["sampling_parameters"][4:]),
            json.loads(raw["request_options"][4:]),
            frozenset(raw),
            raw.get("principal", b"")[4:].decode(),
        )


def piece(
    text: str = "",
    ids: Iterable[int] = (),
    *,
    logprobs: list[dict[str, Any]] | None = None,
    prompt_logprobs: list[dict[str, Any]] | None = None,
    finish: str = "",
    usage: dict[str, Any] | None = None,
) -> Any:
    """One response of the model."""
    message = pb.ModelStreamInferResponse()
    response = message.infer_response

    def add(name: str, datatype: str, count: int, content: bytes) -> None:
        response.outputs.add(name=name, datatype=datatype, shape=[count])
        response.raw_output_contents.append(content)

    ids = tuple(ids)
    add("text_output", "BYTES", 1, _element(text))
    add("token_ids", "INT32", len(ids), struct.pack(f"<{len(ids)}i", *ids))
    add("finish_reason", "BYTES", 1, _element(finish or "None"))
    if logprobs is not None:
        add("logprobs", "BYTES", 1, _element(json.dumps(logprobs)))
    if prompt_logprobs is not None:
        add("prompt_logprobs", "BYTES", 1, _element(json.dumps(prompt_logprobs)))
    if usage is not None:
        add("usage", "BYTES", 1, _element(json.dumps(usage)))
    return message


def failure(message: str) -> Any:
    """A response with an error."""
    return pb.ModelStreamInferResponse(error_message=message)


def final() -> Any:
    """The empty response that ends a decoupled answer."""
    message = pb.ModelStreamInferResponse()
    message.infer_response.parameters["triton_final_response"].bool_param = True
    return message


def usage(asked: Asked, completion_tokens: int, cached_tokens: int = 0) -> dict[str, Any]:
    return {
        "prompt_tokens": len(asked.prompt_ids),
        "cached_tokens": cached_tokens,
        "completion_tokens": completion_tokens,
        "queue_s": 0.0,
        "prefill_s": 0.1,
        "decode_s": 0.2,
    }


Script = Callable[[Asked], AsyncIterator[Any]]


def words(*texts: str, finish: str = "stop", pause_s: float = 0.0, stop_reason: str | None = None) -> Script:
    """A script that says these words, one token each; `stop_reason` is the stop string that ended them."""

    async def script(asked: Asked) -> AsyncIterator[Any]:
        cost = {**usage(asked, len(texts)), "stop_reason": stop_reason}
        if not asked.stream:
            ids = range(len(texts))
            wanted = asked.sampling.get("logprob_token_ids")
            scores = {token: {"logprob": -9.0, "rank": rank} for rank, token in enumerate(wanted or (), start=1)}
            logprobs = [{token: {"logprob": -1.0, "rank": None}, **scores} for token in ids] if wanted else None
            yield piece("".join(texts), ids, logprobs=logprobs, finish=finish, usage=cost)
            return
        for number, text in enumerate(texts):
            yield piece(text, [number])
            await asyncio.sleep(pause_s)
        yield piece("", [], finish=finish, usage=cost)

    return script


def endless(text: str = "word ", pause_s: float = 0.005) -> Script:
    """A script that goes on until it is cancelled."""

    async def script(_asked: Asked) -> AsyncIterator[Any]:
        while True:
            yield piece(text, [1])
            await asyncio.sleep(pause_s)

    return script


def silent_after(*texts: str) -> Script:
    """A script that says these words and then waits until it is cancelled."""

    async def script(_asked: Asked) -> AsyncIterator[Any]:
        for number, text in enumerate(texts):
            yield piece(text, [number])
        await asyncio.Event().wait()

    return script


def refusal(message: str) -> Script:
    """A script that answers with an error."""

    async def script(_asked: Asked) -> AsyncIterator[Any]:
        yield failure(message)

    return script


@dataclass
class FakeTriton(service_pb2_grpc.GRPCInferenceServiceServicer):
    """The server. `asked` collects requests; `running` and `cancelled` count streams and calls.

    `infer` makes the bytes of ModelInfer's answer; None never answers, KeyError knows no model.
    """

    script: Script = field(default_factory=lambda: words("Hello", " world"))
    infer: Callable[[bytes], bytes] | type[KeyError] | None = field(default_factory=lambda: lambda raw: raw)
    ready: bool = True
    unloaded: set[str] = field(default_factory=set)
    asked: list[Asked] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    never_loads: bool = False
    running: int = 0
    cancelled: int = 0
    sockets: Path | None = None
    _server: Any = None

    async def start(self) -> None:
        self._server = grpc.aio.server()
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(self, self._server)
        # As bytes, so that a test sees what is passed on; it comes before the generated handler.
        self._server.add_registered_method_handlers(
            "inference.GRPCInferenceService", {"ModelInfer": grpc.unary_unary_rpc_method_handler(self._infer)}
        )
        self.sockets = self.sockets or Path(tempfile.mkdtemp(prefix="triton-"))
        self._server.add_insecure_port(f"unix:{self.sockets}/{sockets.GRPC}")
        await self._server.start()

    async def stop(self) -> None:
        """End at once, as a killed process does: streams are cut."""
        await self._server.stop(None)

    async def pause(self) -> None:
        """Let the others go on; for scripts that wait for a test."""
        await asyncio.sleep(0.005)

    async def ServerLive(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        return pb.ServerLiveResponse(live=True)

    async def _infer(self, raw: bytes, context: Any) -> bytes:
        self.running += 1
        try:
            if self.infer is None:
                await asyncio.Event().wait()
            if self.infer is KeyError:
                name = pb.ModelInferRequest.FromString(raw).model_name
                await context.abort(grpc.StatusCode.NOT_FOUND, f"Request for unknown model: '{name}' is not found")
            return self.infer(raw)  # type: ignore[misc, return-value]
        finally:
            self.running -= 1

    async def ModelReady(self, request: Any, _context: Any) -> Any:  # noqa: N802
        return pb.ModelReadyResponse(ready=self.ready and request.name not in self.unloaded)

    async def RepositoryModelLoad(self, request: Any, _context: Any) -> Any:  # noqa: N802
        self.loaded.append(request.model_name)
        if self.never_loads:
            await asyncio.Event().wait()
        return pb.RepositoryModelLoadResponse()

    async def ModelStreamInfer(self, requests: Any, _context: Any) -> AsyncIterator[Any]:  # noqa: N802
        self.running += 1
        try:
            async for message in requests:
                if OPENS_STREAM in message.parameters:
                    continue
                asked = Asked.from_message(message)
                self.asked.append(asked)
                async for response in self.script(asked):
                    yield response
                yield final()
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise
        finally:
            self.running -= 1


def _element(text: str) -> bytes:
    content = text.encode()
    return struct.pack("<I", len(content)) + content
