"""Asks Triton for completions over KServe's gRPC streams, one stream a request so that each is cancelled alone.

It uses the generated stubs directly: tritonclient's own layer copies every tensor through numpy.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from tritonclient.grpc import service_pb2, service_pb2_grpc

from appliance.errors import ApplianceError, DeadlineError, EngineError, UnavailableError
from appliance.gateway.triton import tensors as triton_tensors
from appliance.gateway.triton.choice_stream import ChoiceStream, DeltaStream, single_requests
from appliance.gateway.triton.completion import CompletionRequest, Delta
from appliance.gateway.triton.methods import SERVICE, STREAM
from appliance.gateway.triton.traffic import Traffic
from appliance.triton.sockets import CHANNEL_OPTIONS, grpc_target

# The engine ends a request at its deadline; this much later the gateway stops waiting for it.
_DEADLINE_GRACE_S = 5.0
_READY_TIMEOUT_S = 2.0
# What grpc.aio says of a message that it could not write, in place of the status that the call had ended with.
_UNWRITTEN = "Internal error from Core"
_OPTIONS = [
    *CHANNEL_OPTIONS,
    ("grpc.max_receive_message_length", -1),
    # Windows that grow would let Triton send many MB of an answer that its client does not read.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.max_send_message_length", -1),
    # After a restart of Triton the next request should not wait for a back-off of minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]


class TritonStream:
    """The answer to one request, piece by piece."""

    def __init__(self, call: Any, request: CompletionRequest, end: Callable[[float | None], None]) -> None:
        """Take a call; `end` is told when it is over, with the seconds that it held a slot if it ended well."""
        self._call = call
        self._client_names = request.client_names
        self._visit = request.visit
        self._end = end
        self._reason: ApplianceError | None = None
        self._finished = False

    async def read(self) -> Delta | None:
        """Return the next piece, or None after the last.

        Raises:
            ApplianceError: the engine refused or failed, Triton went away, or `cancel` was called with this error.
        """
        try:
            piece = await self._read()
        except ApplianceError:
            if self._visit is not None and self._reason is None:
                self._visit.give_back()
            raise
        if self._visit is not None and piece is not None:
            self._visit.spend(len(piece.token_ids))
        return piece

    async def _read(self) -> Delta | None:
        try:
            message = await self._call.read()
            while message is not grpc.aio.EOF and _is_bare_final(message):
                message = await self._call.read()
            if message is not grpc.aio.EOF and message.error_message:
                await read_to_end(self._call)
        except grpc.aio.AioRpcError as error:
            self._check_ended(rpc_error(self._call, error))
            return None
        except asyncio.CancelledError:
            if self._reason is None:
                raise
            raise self._reason from None
        if message is grpc.aio.EOF:
            self._check_ended(await self._status_error())
            return None
        if message.error_message:
            raise triton_tensors.error(message.error_message, self._client_names)
        piece = triton_tensors.delta(message.infer_response)
        self._finished = self._finished or bool(piece.finish_reason)
        if piece.usage is not None:
            self._end(piece.usage.prefill_s + piece.usage.decode_s)
        return piece

    def cancel(self, reason: ApplianceError) -> None:
        """Give the slot back at once; a waiting `read` raises `reason`. Has no effect after the end."""
        self._end(None)
        if self._reason is None:
            self._reason = reason
            self._call.cancel()

    def _check_ended(self, error: ApplianceError | None) -> None:
        """The stream is over: fine after a finish reason, an error otherwise."""
        if self._reason is not None:
            raise self._reason
        if not self._finished:
            raise error or EngineError("the engine ended the completion without a reason")

    async def _status_error(self) -> ApplianceError | None:
        code = await self._call.code()
        return None if code is grpc.StatusCode.OK else status_error(code, await self._call.details() or "")


class TritonClient:
    """One channel to Triton that all requests share."""

    def __init__(self, sockets: Path, traffic: Traffic) -> None:
        """Make a channel; it connects with the first request.

        Args:
            sockets: the folder of Triton's sockets.
            traffic: is told of every request.

        Raises:
            UnavailableError: there is no such folder.
        """
        self._traffic = traffic
        self._held = ExitStack()
        try:
            target = self._held.enter_context(grpc_target(sockets))
        except OSError as error:
            raise UnavailableError(
                f"{sockets}: {error.strerror}", hint="check that Triton runs and that its sockets are in this folder"
            ) from error
        self._channel = grpc.aio.insecure_channel(target, options=_OPTIONS)
        self._stub = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)
        stream: Callable[..., Any] = functools.partial(self._channel.stream_stream, f"/{SERVICE}/{STREAM}")
        self._pass_on = stream()
        self._complete = stream(
            request_serializer=service_pb2.ModelInferRequest.SerializeToString,
            response_deserializer=service_pb2.ModelStreamInferResponse.FromString,
        )

    def open(self, request: CompletionRequest) -> DeltaStream:
        """Send the request and return its stream, which is to be cancelled when nobody reads it any more.

        Several choices are requests of their own, read as one. Whatever goes wrong, the first read tells.
        """
        if request.choices == 1:
            return self._open_one(request)
        return ChoiceStream([self._open_one(single) for single in single_requests(request)])

    def _open_one(self, request: CompletionRequest) -> TritonStream:
        messages = (triton_tensors.opening_message(request.model), triton_tensors.request_message(request))
        call = self._complete(messages, timeout=request.timeout_s + _DEADLINE_GRACE_S)
        return TritonStream(call, request, self._traffic.begin(request.model))

    def unary(self, path: str, message: bytes, timeout_s: float) -> Any:
        """Start a unary call of any method with a message that is encoded already; returns the call of grpc.aio."""
        method: Any = self._channel.unary_unary(path)
        return method(message, timeout=timeout_s)

    def stream(self, message: bytes, timeout_s: float, opened_for: str | None = None) -> Any:
        """Ask for an inference with a message that is encoded already; returns the call, whose answers are bytes.

        Args:
            message: the ModelInferRequest.
            timeout_s: when the call ends at the latest.
            opened_for: the model that it asks for, if it is one that we serve.
        """
        opening = [triton_tensors.opening_message(opened_for).SerializeToString()] if opened_for else []
        return self._pass_on([*opening, message], timeout=timeout_s)

    async def is_ready(self, model: str) -> bool:
        """Whether Triton answers and has this model loaded."""
        request = service_pb2.ModelReadyRequest(name=model)
        try:
            response = await self._stub.ModelReady(request, timeout=_READY_TIMEOUT_S)
        except grpc.aio.AioRpcError:
            return False
        return bool(response.ready)

    async def close(self) -> None:
        """Close the channel; streams that are still open fail."""
        await self._channel.close()
        self._held.close()


async def read_to_end(call: Any) -> None:
    """Let a stream end by itself after an error, which is its last response.

    Triton (2.51) never lets go of a stream that is cancelled between such a response and its end, and then waits for it
    when it is to stop.
    """
    with suppress(grpc.aio.AioRpcError):
        while await call.read() is not grpc.aio.EOF:
            pass


def _is_bare_final(message: Any) -> bool:
    """Whether it is the empty response with `triton_final_response` that ends a decoupled answer."""
    return not message.error_message and not message.infer_response.outputs


def true_code(call: Any, error: Any) -> grpc.StatusCode:
    """Return why a call ended, also where a message could not be written because it had ended."""
    code: grpc.StatusCode = error.code()
    if code is grpc.StatusCode.INTERNAL and error.details() == _UNWRITTEN:
        is_late = call.time_remaining() == 0
        return grpc.StatusCode.DEADLINE_EXCEEDED if is_late else grpc.StatusCode.UNAVAILABLE
    return code


def rpc_error(call: Any, error: Any) -> ApplianceError:
    """Return the error that a call to Triton ended with, from what grpc.aio raised."""
    return status_error(true_code(call, error), error.details() or "")


def status_error(code: grpc.StatusCode, details: str) -> ApplianceError:
    """Return the error that a call to Triton ended with."""
    if code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}:
        return UnavailableError(
            "the model server is not reachable", hint="the box restarts it after a crash; try again"
        )
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineError("the request's time ran out")
    return triton_tensors.error(details)
