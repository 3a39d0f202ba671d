"""Loads and unloads models in Triton. Only the box's user can reach Triton; the gateway passes no such call on."""

from __future__ import annotations

import grpc
import grpc.aio
from tritonclient.grpc import service_pb2

from appliance.errors import ApplianceError, EngineError
from appliance.gateway.triton.call_end import rpc_error
from appliance.gateway.triton.channel import TritonChannel
from appliance.inference import error_text
from appliance.triton import index
from appliance.triton.log import shortened
from appliance.triton.options import MODEL_CONTROL

_INDEX_TIMEOUT_S = 2.0
_UNREACHABLE = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED}


class ModelControl:
    """Sends such calls over one channel."""

    def __init__(self, channel: TritonChannel) -> None:
        self._channel = channel

    async def load(self, model: str, timeout_s: float) -> None:
        """Load a model of the repository and return when it is ready.

        Raises:
            ApplianceError: the model's own error, for example NoSpaceError or IntegrityError.
            EngineError: Triton cannot load the model.
            UnavailableError: Triton does not answer.
            DeadlineError: the model is not ready in time; Triton continues to load it.
        """
        message = service_pb2.RepositoryModelLoadRequest(model_name=model)
        await self._call("RepositoryModelLoad", message.SerializeToString(), model, timeout_s)

    async def unload(self, model: str, timeout_s: float) -> None:
        """Unload a model. Triton first lets its requests finish, but this returns before; raises as `load` does."""
        message = service_pb2.RepositoryModelUnloadRequest(model_name=model)
        await self._call("RepositoryModelUnload", message.SerializeToString(), model, timeout_s)

    async def failure(self, model: str) -> ApplianceError | None:
        """Why Triton could not load a model; None if it is loaded or still loads, or Triton does not answer."""
        reason = index.failures(await self._index()).get(model)
        return None if reason is None else _failure(model, reason)

    async def is_gone(self, model: str) -> bool:
        """Whether nothing of a model is left in Triton after an unload."""
        return model in index.unavailable(await self._index())

    async def _index(self) -> service_pb2.RepositoryIndexResponse:
        """Triton's index of its models; an empty one if Triton does not answer."""
        message = service_pb2.RepositoryIndexRequest().SerializeToString()
        try:
            answer = await self._channel.unary("RepositoryIndex", message, _INDEX_TIMEOUT_S, MODEL_CONTROL)
        except grpc.aio.AioRpcError:
            return service_pb2.RepositoryIndexResponse()
        return service_pb2.RepositoryIndexResponse.FromString(answer)

    async def _call(self, method: str, message: bytes, model: str, timeout_s: float) -> None:
        call = self._channel.unary(method, message, timeout_s, MODEL_CONTROL)
        try:
            await call
        except grpc.aio.AioRpcError as error:
            if error.code() in _UNREACHABLE:
                raise rpc_error(call, error) from error
            raise _failure(model, error.details() or "") from error


def _failure(model: str, details: str) -> ApplianceError:
    """The model's own error in Triton's text."""
    reason = shortened(details)
    return error_text.read(reason) or EngineError(
        f"Triton cannot load {model}: {reason}", hint="the log of Triton has more"
    )
