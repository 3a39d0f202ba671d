"""Checks a running Triton over gRPC: its readiness, its version, and whether it transports tensors undamaged."""

from __future__ import annotations

import importlib.metadata
import json
import struct
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc
import grpc.aio
from tritonclient.grpc import service_pb2, service_pb2_grpc

from appliance.artefact.manifest import RERANKING
from appliance.errors import ApplianceError, EngineError, MissingProgramError, UnavailableError
from appliance.inference import error_text
from appliance.inference.tensors import element, elements
from appliance.triton import index
from appliance.triton.options import MODEL_CONTROL
from appliance.triton.sockets import CHANNEL_OPTIONS, grpc_target
from appliance.triton.version import TritonVersion

_CALL_TIMEOUT_S = 2.0
_ROUND_TRIP_TIMEOUT_S = 60.0
# Token ids that every tokenizer has. The gateway sends ids too: the model then loads no tokenizer for this request.
_PROBE = (0, 1, 2)
_REASON = "length"
_NUMPY_MAJOR_TOO_NEW = 2
_OPTIONS = [
    *CHANNEL_OPTIONS,
    # Not grpc.min_reconnect_backoff_ms: it is also the time limit of an attempt to connect. On a busy machine, a small
    # value ends every attempt before Triton has answered.
    ("grpc.initial_reconnect_backoff_ms", 20),
    ("grpc.max_reconnect_backoff_ms", 50),
]


class TritonHealth:
    """One connection for health checks; use it as an asynchronous context."""

    def __init__(self, sockets: Path) -> None:
        """Take the folder of Triton's sockets.

        Raises:
            OSError: the folder does not exist.
        """
        self._held = ExitStack()
        target = self._held.enter_context(grpc_target(sockets))
        self._channel = grpc.aio.insecure_channel(target, options=_OPTIONS)
        self._stub = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)

    async def __aenter__(self) -> TritonHealth:  # noqa: PYI034 - Self came with Python 3.11
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._channel.close()
        self._held.close()

    async def is_ready(self, model: str) -> bool:
        """Whether Triton answers and has loaded the model."""
        try:
            answer = await self._stub.ModelReady(service_pb2.ModelReadyRequest(name=model), timeout=_CALL_TIMEOUT_S)
        except grpc.aio.AioRpcError:
            return False
        return bool(answer.ready)

    async def failures(self) -> dict[str, str]:
        """The models that Triton could not load, with its reasons; empty if it does not answer."""
        message = service_pb2.RepositoryIndexRequest()
        try:
            answer = await self._stub.RepositoryIndex(message, timeout=_CALL_TIMEOUT_S, metadata=MODEL_CONTROL)
        except grpc.aio.AioRpcError:
            return {}
        return index.failures(answer)

    async def version(self) -> TritonVersion:
        """The version that the server reports.

        Raises:
            UnavailableError: the server does not answer.
        """
        try:
            answer = await self._stub.ServerMetadata(service_pb2.ServerMetadataRequest(), timeout=_CALL_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            raise UnavailableError(f"Triton does not answer: {error.details()}") from error
        return TritonVersion.from_text(answer.version)

    async def prove_round_trip(self, model: str) -> None:
        """Let the model complete a few tokens by one token; check that tensors arrive undamaged in both directions.

        The model received the numbers if it counts the prompt's tokens, and the text if it obeys the sampling
        parameters. It sends both counts as numbers, and the reason of the end as text.

        The wheel's Python backend was built against numpy 1. With numpy 2 it sends every tensor empty, or crashes when
        it receives a tensor. Neither fault names the cause; this check does.

        Raises:
            MissingProgramError: Triton damages tensors.
            EngineError: the model answered with an error.
        """
        call = self._stub.ModelStreamInfer(timeout=_ROUND_TRIP_TIMEOUT_S)
        text = ""
        prompt, completion = 0, 0
        try:
            await call.write(_probe_request(model))
            await call.done_writing()
            async for message in call:
                if message.error_message:
                    raise _refused(message.error_message)
                outputs = raw_outputs(message.infer_response)
                text += _text(outputs.get("finish_reason", b""))
                prompt += sum(_numbers(outputs.get("num_input_tokens", b"")))
                completion += sum(_numbers(outputs.get("num_output_tokens", b"")))
        except grpc.aio.AioRpcError as error:
            raise EngineError(f"the test request through Triton failed: {error.details()}") from error
        if (text, prompt, completion) != (_REASON, len(_PROBE), 1):
            raise _not_surviving(
                f"sent {len(_PROBE)} tokens for 1 token, got {text!r} for {prompt} tokens and {completion} tokens"
            )

    async def prove_pooling(self, model: str, task: str, dimensions: int) -> None:
        """Let an embedding model or a reranker compute one short text, and check that numbers arrive undamaged.

        Raises:
            MissingProgramError: Triton damages tensors.
            EngineError: the model answered with an error.
        """
        call = self._stub.ModelStreamInfer(timeout=_ROUND_TRIP_TIMEOUT_S)
        found = b""
        try:
            await call.write(_pooling_probe(model, task))
            await call.done_writing()
            async for message in call:
                if message.error_message:
                    raise _refused(message.error_message)
                found += b"".join(raw_outputs(message.infer_response).values())
        except grpc.aio.AioRpcError as error:
            raise EngineError(f"the test request through Triton failed: {error.details()}") from error
        if len(found) != 4 * dimensions:
            raise _not_surviving(f"sent one text, got {len(found)} bytes instead of {4 * dimensions}")


def raw_outputs(response: Any) -> dict[str, bytes]:
    """The raw bytes of each output of a ModelInferResponse by name; an empty response has no outputs."""
    pairs = zip(response.outputs, response.raw_output_contents, strict=False)
    return {output.name: content for output, content in pairs}


def _refused(message: str) -> ApplianceError:
    installed = importlib.metadata.version("numpy")
    if error_text.read(message) or int(installed.partition(".")[0]) < _NUMPY_MAJOR_TOO_NEW:
        return EngineError(f"the model rejects the test request: {message}")
    return _not_surviving(message.splitlines()[0])


def _not_surviving(detail: str) -> MissingProgramError:
    return MissingProgramError(
        f"Triton's Python backend does not work with the installed numpy: it changes tensors ({detail})",
        hint="its stub was built against numpy 1, and numpy "
        f"{importlib.metadata.version('numpy')} is installed: install numpy<2 into the appliance's environment",
    )


def _probe_request(model: str) -> Any:
    message = service_pb2.ModelInferRequest(model_name=model, id="round-trip")
    sampling = {"max_tokens": 1, "temperature": 0.0, "ignore_eos": True}
    for name, data_type, length, content in (
        ("input_ids", "INT32", len(_PROBE), struct.pack(f"<{len(_PROBE)}i", *_PROBE)),
        ("sampling_parameters", "BYTES", 1, element(json.dumps(sampling).encode())),
        ("return_finish_reason", "BOOL", 1, b"\x01"),
        ("return_num_input_tokens", "BOOL", 1, b"\x01"),
        ("return_num_output_tokens", "BOOL", 1, b"\x01"),
    ):
        message.inputs.add(name=name, datatype=data_type, shape=[length])
        message.raw_input_contents.append(content)
    return message


def _pooling_probe(model: str, task: str) -> Any:
    message = service_pb2.ModelInferRequest(model_name=model, id="round-trip")
    for name, data_type, length, content in (
        ("input_ids", "INT32", len(_PROBE), struct.pack(f"<{len(_PROBE)}i", *_PROBE)),
        ("lengths", "INT32", 1, struct.pack("<i", len(_PROBE))),
        *([("first_lengths", "INT32", 1, struct.pack("<i", 1))] if task == RERANKING else []),
        ("timeout_s", "FP64", 1, struct.pack("<d", _ROUND_TRIP_TIMEOUT_S)),
    ):
        message.inputs.add(name=name, datatype=data_type, shape=[length])
        message.raw_input_contents.append(content)
    return message


def _text(raw: bytes) -> str:
    try:
        return b"".join(elements(raw)).decode(errors="replace")
    except (struct.error, ValueError):
        return ""  # counts as a missing text


def _numbers(raw: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(raw) // 4}I", raw[: len(raw) // 4 * 4])
