"""Converts the body of `generate` and `generate_stream` to Triton's request.

A key of the body, or of its `parameters`, is an input if the model has an input of that name, else a parameter
(Triton's generate extension). The request is built from the checked values; no byte of the body is forwarded unchanged.
"""

from __future__ import annotations

import struct
from typing import Any

from tritonclient.grpc import service_pb2

from appliance.errors import RequestError
from appliance.gateway.bodies.json_body import read_object
from appliance.inference.tensors import INPUTS, PRINCIPAL, Tensor, element

_PARAMETERS = "parameters"
_ID = "id"
_STREAM = "stream"
_ASKS_FOR_PIECES = (True, [True])
_TENSORS = {tensor.name: tensor for tensor in INPUTS}
_INT32 = range(-(1 << 31), 1 << 31)
_INT64 = range(-(1 << 63), 1 << 63)


def generate_request(model: str, content: bytes, *, streams: bool) -> Any:
    """Return a ModelInferRequest, without a principal.

    Args:
        model: the model's name.
        content: the request body.
        streams: whether the answer may have several pieces.

    Raises:
        RequestError: the body is not a JSON object, a value has a wrong type, a name occurs twice, the body names a
            principal, or it requests a stream from `generate`.
    """
    asked = read_object(content)
    parameters = asked.pop(_PARAMETERS, {})
    if not isinstance(parameters, dict):
        raise RequestError(f"{_PARAMETERS} must be an object", param=_PARAMETERS)
    for name in asked.keys() & parameters.keys():
        raise RequestError(f"{name} is given twice: in the body and in {_PARAMETERS}", param=name)
    asked |= parameters
    # Cached prefixes are reused within one principal. Only authentication decides the principal, never the request.
    if PRINCIPAL in asked:
        raise RequestError(f"the input {PRINCIPAL!r} can be set only by the gateway", param=PRINCIPAL)
    if asked.get(_STREAM) in _ASKS_FOR_PIECES and not streams:
        raise RequestError("generate sends one response and cannot stream", hint="use generate_stream", param=_STREAM)
    message = service_pb2.ModelInferRequest(model_name=model, id=_id(asked.pop(_ID, "")))
    for name, value in asked.items():
        if name in _TENSORS:
            _add(message, _TENSORS[name], value)
        else:
            _set(message.parameters[name], name, value)
    return message


def _id(value: Any) -> str:
    if not isinstance(value, str):
        raise RequestError(f"{_ID} must be a string", param=_ID)
    return value


def _add(message: Any, tensor: Tensor, value: Any) -> None:
    """Add an input: one value, or a list of them."""
    values = value if isinstance(value, list) else [value]
    kind = tensor.data_type.removeprefix("TYPE_")
    encode = {"STRING": _string, "BOOL": _bool, "INT32": _int32}[kind]
    pieces = [piece for one in values if (piece := encode(one)) is not None]
    if len(pieces) != len(values):
        raise RequestError(f"{tensor.name} must be {kind}, one value or a list of values", param=tensor.name)
    # Triton rejects another shape too, but reports it as an internal error.
    if tensor.size not in {-1, len(values)}:
        raise RequestError(f"{tensor.name} must be {tensor.size} value, not {len(values)}", param=tensor.name)
    datatype = "BYTES" if kind == "STRING" else kind
    message.inputs.add(name=tensor.name, datatype=datatype, shape=[len(values)])
    message.raw_input_contents.append(b"".join(pieces))


def _string(value: Any) -> bytes | None:
    return element(value.encode()) if isinstance(value, str) else None


def _bool(value: Any) -> bytes | None:
    return bytes([value]) if isinstance(value, bool) else None


def _int32(value: Any) -> bytes | None:
    is_number = isinstance(value, int) and not isinstance(value, bool) and value in _INT32
    return struct.pack("<i", value) if is_number else None


def _set(parameter: Any, name: str, value: Any) -> None:
    """Set a parameter of the request; a fraction is sent as a string, which the model also accepts."""
    if isinstance(value, bool):
        parameter.bool_param = value
    elif isinstance(value, int) and value in _INT64:
        parameter.int64_param = value
    elif isinstance(value, float):
        parameter.string_param = repr(value)
    elif isinstance(value, str):
        parameter.string_param = value
    else:
        raise RequestError(f"{name} must be a string, a number or a boolean", param=name)
