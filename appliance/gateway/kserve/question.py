"""Calls that Triton answers immediately: re-encodes the request, and removes the box's own settings from the answer.

A model's configuration contains folders of this machine and settings of the engine, which are only for the operator.
The parts that a Triton client needs to use the model stay.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from tritonclient.grpc import service_pb2

from appliance.gateway.kserve import plain

_METHODS = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods_by_name
_CONFIGURATION = "ModelConfig"
_SHOWN = frozenset(
    {
        *("name", "platform", "backend", "version_policy", "max_batch_size", "input", "output"),
        *("dynamic_batching", "sequence_batching", "model_transaction_policy"),
    }
)


def asked(method: str, content: bytes) -> bytes:
    """Return the client's request, re-encoded for Triton.

    Raises:
        RequestError: the bytes are not a request of this method.
    """
    question: Message = plain.parse(GetMessageClass(_METHODS[method].input_type), content)
    return question.SerializeToString()


def answered(method: str, content: bytes) -> bytes:
    """Return Triton's answer for the client."""
    if method != _CONFIGURATION:
        return content
    answer = service_pb2.ModelConfigResponse.FromString(content)
    shown: Any = service_pb2.ModelConfigResponse()
    for field, value in answer.config.ListFields():
        if field.name not in _SHOWN:
            continue
        if field.message_type is None:
            setattr(shown.config, field.name, value)
        else:
            getattr(shown.config, field.name).MergeFrom(value)
    for output in shown.config.output:
        output.ClearField("label_filename")
    return bytes(shown.SerializeToString())
