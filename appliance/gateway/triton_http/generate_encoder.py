"""Encodes Triton's answers as its HTTP API does: names of model and version, and each output by its name."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from tritonclient.grpc import service_pb2

from appliance.errors import EngineError
from appliance.gateway.http.json_text import encode
from appliance.gateway.triton.tensors import error
from appliance.inference.tensors import elements

_FORMATS = {"INT32": "i", "UINT32": "I", "FP32": "f"}


class GenerateEncoder:
    """Encodes one answer, from messages of ModelStreamInfer."""

    def head(self) -> bytes:
        """Nothing: events begin with the first piece."""
        return b""

    def events(self, message: bytes) -> bytes:
        """One event; empty for the empty message that ends an answer."""
        fields = _fields(message)
        return b"" if fields is None else f"data: {encode(fields)}\n\n".encode()

    def tail(self) -> bytes:
        """Nothing: the answer ends with the connection."""
        return b""

    def document(self, messages: Sequence[bytes]) -> bytes:
        """The whole answer.

        Raises:
            ApplianceError: the model returned this error.
            EngineError: the model did not answer in one piece.
        """
        answers = [fields for fields in map(_fields, messages) if fields is not None]
        if len(answers) != 1:
            raise EngineError(f"the model sent {len(answers)} responses, not one")
        return encode(answers[0]).encode()


def _fields(message: bytes) -> dict[str, Any] | None:
    """Decode one message of a stream; None for the empty message that ends an answer.

    Raises:
        ApplianceError: the model returned this error.
        EngineError: the answer has an unexpected format.
    """
    response = service_pb2.ModelStreamInferResponse.FromString(message)
    if response.error_message:
        raise error(response.error_message)
    answer = response.infer_response
    if not answer.outputs:
        return None
    fields: dict[str, Any] = {"model_name": answer.model_name, "model_version": answer.model_version}
    try:
        for output, content in zip(answer.outputs, answer.raw_output_contents, strict=True):
            values = _values(output.datatype, content)
            # Like Triton: a single element is written without a list.
            fields[output.name] = values[0] if len(values) == 1 else values
    except (struct.error, ValueError, KeyError) as failure:
        raise EngineError(f"the model's answer has an unexpected format: {failure}") from failure
    return fields


def _values(datatype: str, content: bytes) -> list[Any]:
    if datatype != "BYTES":
        return [value for (value,) in struct.iter_unpack(f"<{_FORMATS[datatype]}", content)]
    return [one.decode(errors="replace") for one in elements(content)]
