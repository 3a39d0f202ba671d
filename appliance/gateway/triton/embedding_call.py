"""Texts for an embedding model as values, and the call that computes their vectors."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import grpc
import grpc.aio
from tritonclient.grpc import service_pb2

from appliance.errors import EngineError
from appliance.gateway.triton import tensors
from appliance.gateway.triton.call_end import read_to_end, rpc_error, status_error
from appliance.gateway.triton.stream_call import StreamCall


@dataclass(frozen=True)
class EmbeddingRequest:
    """One request to an embedding model.

    Attributes:
        request_id: unique among running requests; also Triton's request id.
        model: the model's name in Triton.
        texts: the tokens of each text.
        timeout_s: seconds from now after which the request ends.
        keep_alive_s: see `LoadedModels.using`.
    """

    request_id: str
    model: str
    texts: Sequence[Sequence[int]]
    timeout_s: float
    keep_alive_s: float | None = None

    def counts(self) -> dict[str, Sequence[int]]:
        """The tensors with a number for each text, by name."""
        return {"lengths": [len(text) for text in self.texts]}

    def contents(self) -> list[bytes]:
        """The messages for Triton."""
        message = service_pb2.ModelInferRequest(model_name=self.model, id=self.request_id)
        numbers = {"input_ids": [token for text in self.texts for token in text], **self.counts()}
        for name, data_type, count, content in (
            *((name, "INT32", len(each), struct.pack(f"<{len(each)}i", *each)) for name, each in numbers.items()),
            ("timeout_s", "FP64", 1, struct.pack("<d", self.timeout_s)),
        ):
            message.inputs.add(name=name, datatype=data_type, shape=[count])
            message.raw_input_contents.append(content)
        return [tensors.opening_message(self.model).SerializeToString(), message.SerializeToString()]


class EmbeddingCall:
    """The answer: one piece with all vectors or logits, float32, little-endian, in the order of the texts."""

    def __init__(self, call: StreamCall) -> None:
        self._call = call
        self._is_over = False

    async def read(self) -> bytes | None:
        """Return the vectors; None if they were returned.

        Raises:
            ApplianceError: the model rejected the request or failed, or Triton ended.
        """
        if self._is_over:
            return None
        self._is_over = True
        try:
            while (message := await self._call.read()) is not grpc.aio.EOF:
                response = service_pb2.ModelStreamInferResponse.FromString(message)
                if response.error_message:
                    await read_to_end(self._call)
                    raise tensors.error(response.error_message)
                if response.infer_response.raw_output_contents:
                    return bytes(response.infer_response.raw_output_contents[0])
        except grpc.aio.AioRpcError as error:
            raise rpc_error(self._call, error) from error
        code = await self._call.code()
        if code is not grpc.StatusCode.OK:
            raise status_error(code, await self._call.details())
        raise EngineError("the model ended the request and gave no vectors")

    def cancel(self) -> None:
        """Stop the work. Has no effect after the end."""
        self._call.cancel()
