"""The questions that Triton answers at once: written anew on the way there, and on the way back without the box's own.

A model's configuration names folders of this machine and settings of the engine, which are the operator's. What a
client of Triton needs of it to ask the model stays.
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
    """Return a client's question as it goes on.

    Raises:
        RequestError: it is none of this method.
    """
    question: Message = plain.parse(GetMessageClass(_METHODS[method].input_type), content)
    return question.SerializeToString()


def answered(method: str, content: bytes) -> bytes:
    """Return Triton's answer as the client gets it."""
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
