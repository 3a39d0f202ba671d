"""The answer to one completion request, read from Triton delta by delta."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import grpc
import grpc.aio
from tritonclient.grpc import service_pb2

from appliance.errors import ApplianceError, EngineError
from appliance.gateway.triton import tensors
from appliance.gateway.triton.call_end import read_to_end, rpc_error, status_error
from appliance.gateway.triton.completion import Delta
from appliance.gateway.triton.stream_call import StreamCall


class TritonStream:
    """See the module."""

    def __init__(self, call: StreamCall, client_names: Mapping[str, str], prompt_ids: Sequence[int] = ()) -> None:
        """`call` is the request's call; for the other arguments see CompletionRequest."""
        self._call = call
        self._client_names = client_names
        self._prompt = islice(prompt_ids, 1, None)
        self._finished = False

    async def read(self) -> Delta | None:
        """Return the next piece, or None after the last.

        Raises:
            ApplianceError: the engine rejected the request or failed, or Triton ended.
        """
        try:
            response = await self._next()
            if response is not None and response.error_message:
                await read_to_end(self._call)
        except grpc.aio.AioRpcError as error:
            self._check_finished(rpc_error(self._call, error))
            return None
        if response is None:
            self._check_finished(await self._status_error())
            return None
        if response.error_message:
            raise tensors.error(response.error_message, self._client_names)
        piece = tensors.delta(response.infer_response, self._prompt)
        self._finished = self._finished or bool(piece.finish_reason)
        return piece

    def cancel(self) -> None:
        """Free the slot immediately. Has no effect after the end."""
        self._call.cancel()

    async def _next(self) -> Any:
        """The next response with content, or None after the last."""
        while (message := await self._call.read()) is not grpc.aio.EOF:
            response = service_pb2.ModelStreamInferResponse.FromString(message)
            # An empty response with `triton_final_response` ends a decoupled answer.
            if response.error_message or response.infer_response.outputs:
                return response
        return None

    def _check_finished(self, error: ApplianceError | None) -> None:
        """The stream has ended: raise an error unless there was a finish reason."""
        if not self._finished:
            raise error or EngineError("the engine ended the completion and gave no reason")

    async def _status_error(self) -> ApplianceError | None:
        code = await self._call.code()
        return None if code is grpc.StatusCode.OK else status_error(code, await self._call.details())
