"""A request that is passed on to Triton: read, checked, and written anew in the name of whose call it came with.

Nothing that a client encoded goes on: what Triton reads is what was checked here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tritonclient.grpc import service_pb2

from appliance.gateway.access.visit import current
from appliance.gateway.kserve import plain
from appliance.gateway.kserve.tensors import PRINCIPAL, check_contract, check_tensors
from appliance.gateway.refusals import ForbiddenMethodError
from appliance.inference.tensors import element


@dataclass(frozen=True)
class PassedRequest:
    """A ModelInferRequest that can be read in one way.

    Attributes:
        parsed: it, without fields that we do not know.
    """

    parsed: Any

    @classmethod
    def from_bytes(cls, message: bytes) -> PassedRequest:
        """Read a client's message.

        Raises:
            RequestError: it is something else, or `check_tensors` refuses it.
        """
        parsed = plain.parse(service_pb2.ModelInferRequest, message)
        check_tensors(parsed)
        return cls(parsed)

    @property
    def request_id(self) -> str:
        """The client's id for it; may be empty."""
        return str(self.parsed.id)

    @property
    def model(self) -> str:
        """The model's name, whatever the client wrote there."""
        return str(self.parsed.model_name)

    def message_for_other(self) -> bytes:
        """The message for a model that is none of ours, whose inputs we do not know."""
        return bytes(self._rebuilt().SerializeToString())

    def message_of(self, principal: str) -> bytes:
        """The message for a model of ours, with the name of whoever is authenticated as its first input.

        Raises:
            RequestError: `check_contract` refuses it.
        """
        check_contract(self.parsed)
        message = service_pb2.ModelInferRequest()
        named = message.inputs.add(name=PRINCIPAL, datatype="BYTES", shape=[1])
        if any(one.HasField("contents") for one in self.parsed.inputs):
            named.contents.bytes_contents.append(principal.encode())
        else:
            message.raw_input_contents.append(element(principal.encode()))
        message.MergeFrom(self._rebuilt())
        return bytes(message.SerializeToString())

    def _rebuilt(self) -> Any:
        """The parts that were checked, and no others."""
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


def admitted(asked: PassedRequest, *, is_served: bool) -> bytes:
    """Return the message as it goes on to Triton: for a model that we serve, in the name of whose call it came with.

    Other models of the same Triton have inputs of their own.

    Raises:
        ForbiddenMethodError: the principal's tokens are limited, and here nobody counts them.
        RequestError: see `PassedRequest.message_of`.
    """
    visit = current()
    if visit.limits_tokens:
        raise ForbiddenMethodError(
            "this API cannot count tokens, but the box limits tokens; use the OpenAI, Anthropic or appliance.v1 API"
        )
    return asked.message_of(visit.principal.name) if is_served else asked.message_for_other()


def failed_response(text: str, request_id: str) -> bytes:
    """Return the answer within a stream that Triton gives to a request that it refuses."""
    response = service_pb2.ModelStreamInferResponse(error_message=text)
    response.infer_response.id = request_id
    return bytes(response.SerializeToString())


def error_text(response: bytes) -> str | None:
    """Return the error of an answer within a stream, or None.

    Protobuf writes fields in order and the error is the first: only an answer that has one is decoded.
    """
    if not response.startswith(b"\x0a"):
        return None
    return str(service_pb2.ModelStreamInferResponse.FromString(response).error_message)
