"""What the gateway looks at in a request that it passes on: which model, and that it claims to be nobody else."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from google.protobuf.message import DecodeError
from tritonclient.grpc import service_pb2

from appliance.errors import RequestError
from appliance.gateway.access.visit import current
from appliance.gateway.refusals import ForbiddenMethodError

# Whose prefixes are shared is decided by who is authenticated, never by what a request says.
_PRINCIPAL = "principal"


@dataclass(frozen=True)
class PassedRequest:
    """A ModelInferRequest.

    Attributes:
        message: its bytes, as they came.
        is_raw: it has its tensors' contents apart from their descriptions.
        request_id: the client's id for it; may be empty.
        model: the model's name, whatever the client wrote there.
    """

    message: bytes
    is_raw: bool
    request_id: str
    model: str

    @classmethod
    def from_bytes(cls, message: bytes) -> PassedRequest:
        """Look into the message.

        Raises:
            RequestError: it is something else, or it names a principal.
        """
        try:
            parsed = service_pb2.ModelInferRequest.FromString(message)
        except DecodeError as error:
            raise RequestError("the message is no ModelInferRequest") from error
        if any(tensor.name == _PRINCIPAL for tensor in parsed.inputs):
            raise RequestError(f"the input {_PRINCIPAL!r} is the gateway's to set", param=_PRINCIPAL)
        return cls(message, bool(parsed.raw_input_contents), parsed.id, parsed.model_name)

    def message_of(self, principal: str) -> bytes:
        """Return the message with the name of whoever is authenticated as one more input.

        Two messages one after the other are one with the inputs of both: protobuf's encoding of repeated fields.
        """
        more = service_pb2.ModelInferRequest()
        name = more.inputs.add(name=_PRINCIPAL, datatype="BYTES", shape=[1])
        if self.is_raw:
            more.raw_input_contents.append(struct.pack("<I", len(principal.encode())) + principal.encode())
        else:
            name.contents.bytes_contents.append(principal.encode())
        return self.message + bytes(more.SerializeToString())


def admitted(asked: PassedRequest, *, is_served: bool) -> bytes:
    """Return the message as it goes on to Triton: for a model that we serve, in the name of whose call it came with.

    Other models of the same Triton have inputs of their own.

    Raises:
        ForbiddenMethodError: the principal's tokens are limited, and here nobody counts them.
    """
    visit = current()
    if visit.limits_tokens:
        raise ForbiddenMethodError("calls that are passed on cannot be counted in tokens, which are limited here")
    return asked.message_of(visit.principal.name) if is_served else asked.message


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
