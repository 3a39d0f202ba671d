"""A request that is forwarded to Triton: parsed, checked and re-encoded. `Inference` adds the principal later.

No bytes that a client encoded are forwarded: Triton reads exactly what was checked here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tritonclient.grpc import service_pb2

from appliance.gateway.kserve import plain
from appliance.gateway.kserve.tensors import check_contract, check_tensors
from appliance.gateway.triton.forwarded import ForwardedRequest


@dataclass(frozen=True)
class PassedRequest:
    """A ModelInferRequest that can be read in only one way.

    Attributes:
        parsed: the message, without unknown fields.
    """

    parsed: Any

    @classmethod
    def from_bytes(cls, message: bytes) -> PassedRequest:
        """Parse a client's message.

        Raises:
            RequestError: the bytes are not such a message, or `check_tensors` rejects it.
        """
        parsed = plain.parse(service_pb2.ModelInferRequest, message)
        check_tensors(parsed)
        return cls(parsed)

    @property
    def request_id(self) -> str:
        """The client's id for the request; may be empty."""
        return str(self.parsed.id)

    @property
    def model(self) -> str:
        """The model's name as the client sent it."""
        return str(self.parsed.model_name)

    def forwarded(self, served: str | None, timeout_s: float, *, is_unary: bool) -> ForwardedRequest:
        """Return the request for Triton; `served` is the model's name if the gateway serves this model.

        Raises:
            RequestError: the gateway serves the model, and `check_contract` rejects the tensors.
        """
        # Other models of the same Triton have other inputs.
        if served is not None:
            check_contract(self.parsed)
        return ForwardedRequest(self._rebuilt(), served, timeout_s, is_unary)

    def _rebuilt(self) -> Any:
        """A new message with only the checked parts."""
        given = self.parsed
        message = service_pb2.ModelInferRequest(
            model_name=given.model_name,
            model_version=given.model_version,
            id=given.id,
            raw_input_contents=given.raw_input_contents,
        )
        for name, value in given.parameters.items():
            message.parameters[name].CopyFrom(value)
        for one in given.inputs:
            rebuilt = message.inputs.add(name=one.name, datatype=one.datatype, shape=one.shape)
            if one.HasField("contents"):
                rebuilt.contents.CopyFrom(one.contents)
        for one in given.outputs:
            output = message.outputs.add(name=one.name)
            for name, value in one.parameters.items():
                output.parameters[name].CopyFrom(value)
        return message


def failed_response(text: str, request_id: str) -> bytes:
    """Return the error response within a stream, as Triton sends it for a rejected request."""
    response = service_pb2.ModelStreamInferResponse(error_message=text)
    response.infer_response.id = request_id
    return bytes(response.SerializeToString())


def error_text(response: bytes) -> str | None:
    """Return the error of a response within a stream, or None.

    Protobuf writes fields in order and the error is the first field, so only responses with an error are decoded.
    """
    if not response.startswith(b"\x0a"):
        return None
    return str(service_pb2.ModelStreamInferResponse.FromString(response).error_message)
