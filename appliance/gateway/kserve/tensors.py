"""Checks the tensors of a ModelInferRequest: all parsers read the same contents, and our models get their contract.

Source: KServe's v2 protocol, and Triton's extensions of it. Raw contents belong to the inputs only by their order, so a
missing or additional entry would give every later input the contents of another input.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from appliance.errors import RequestError
from appliance.inference.tensors import INPUTS, OUTPUTS, PRINCIPAL, Tensor, is_one_element

_BYTES = "BYTES"
_ITEM_BYTES = {
    **dict.fromkeys(("BOOL", "INT8", "UINT8"), 1),
    **dict.fromkeys(("INT16", "UINT16", "FP16", "BF16"), 2),
    **dict.fromkeys(("INT32", "UINT32", "FP32"), 4),
    **dict.fromkeys(("INT64", "UINT64", "FP64"), 8),
}
# The field of InferTensorContents for each type; half precision has no field.
_TYPED = {
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    **{name: f"{name.lower()}_contents" for name in ("BOOL", "INT64", "UINT64", "FP32", "FP64", _BYTES)},
}
_MAX_DIMENSIONS = 16
_OURS = {tensor.name: tensor for tensor in INPUTS if tensor.name != PRINCIPAL}
_ANSWERS = {tensor.name for tensor in OUTPUTS}
# Requests the likeliest classes of an output. Triton's other parameter names shared memory of this machine.
_CLASSES = "classification"


def check_tensors(message: Any) -> None:
    """Check that every parser finds the same contents for each input of the ModelInferRequest.

    Raises:
        RequestError: names are repeated or empty; contents are missing, left over, of two kinds or of a wrong size; a
            tensor names shared memory; or a tensor claims to be the principal.
    """
    _check_names([one.name for one in message.inputs], "inputs")
    _check_names([one.name for one in message.outputs], "outputs")
    for one in message.inputs:
        _check_parameters(one, frozenset())
    for one in message.outputs:
        _check_parameters(one, frozenset({_CLASSES}))
    raw = message.raw_input_contents
    if raw:
        if len(raw) != len(message.inputs):
            raise RequestError(
                f"there are {len(message.inputs)} inputs, but {len(raw)} raw_input_contents",
                param="raw_input_contents",
            )
        for one, content in zip(message.inputs, raw, strict=True):
            if one.HasField("contents"):
                raise RequestError(f"{one.name}: contents cannot be combined with raw_input_contents", param=one.name)
            _check_raw(one, content)
    else:
        for one in message.inputs:
            _check_typed(one)


def check_contract(message: Any) -> None:
    """Check that the inputs and outputs are those of our own models, after `check_tensors`.

    Raises:
        RequestError: a tensor is unknown, or has another type, shape or size.
    """
    for number, one in enumerate(message.inputs):
        tensor = _OURS.get(one.name)
        if tensor is None:
            raise RequestError(f"unknown input {one.name!r}", hint=f"supported: {', '.join(_OURS)}", param=one.name)
        _check_form(one, tensor)
        if message.raw_input_contents and one.datatype == _BYTES:
            _check_element(one.name, message.raw_input_contents[number])
    for one in message.outputs:
        if one.name not in _ANSWERS:
            raise RequestError(f"unknown output {one.name!r}", param=one.name)
        _check_parameters(one, frozenset())


def _check_names(names: Sequence[str], field: str) -> None:
    seen: set[str] = set()
    for name in names:
        if not name:
            raise RequestError(f"one of the {field} has no name", param=field)
        # Cached prefixes are reused within one principal. Only authentication decides the principal, never the request.
        if name == PRINCIPAL:
            raise RequestError(f"{name!r} can be set only by the gateway", param=name)
        if name in seen:
            raise RequestError(f"{name!r} is given twice", param=name)
        seen.add(name)


def _check_parameters(tensor: Any, known: frozenset[str]) -> None:
    for name in tensor.parameters:
        if name not in known:
            raise RequestError(f"{tensor.name}: the parameter {name!r} is not available to clients", param=tensor.name)


def _count(tensor: Any) -> int:
    """The number of elements.

    Raises:
        RequestError: a dimension is negative, there are too many dimensions, or the type is unknown.
    """
    if tensor.datatype != _BYTES and tensor.datatype not in _ITEM_BYTES:
        raise RequestError(f"{tensor.name}: the datatype {tensor.datatype!r} is not supported", param=tensor.name)
    if len(tensor.shape) > _MAX_DIMENSIONS or any(size < 0 for size in tensor.shape):
        raise RequestError(
            f"{tensor.name}: the shape must have 0 to {_MAX_DIMENSIONS} sizes of 0 or more", param=tensor.name
        )
    return math.prod(tensor.shape)


def _check_raw(tensor: Any, content: bytes) -> None:
    count = _count(tensor)
    # Each element of a BYTES tensor contains its own length.
    if tensor.datatype != _BYTES and len(content) != count * _ITEM_BYTES[tensor.datatype]:
        raise RequestError(
            f"{tensor.name}: the contents have {len(content)} bytes, which are not {count} elements", param=tensor.name
        )


def _check_typed(tensor: Any) -> None:
    count = _count(tensor)
    if not tensor.HasField("contents"):
        raise RequestError(f"{tensor.name} has no contents", param=tensor.name)
    own = _TYPED.get(tensor.datatype)
    for field, _ in tensor.contents.ListFields():
        if field.name != own:
            raise RequestError(f"{tensor.name}: {field.name} cannot contain {tensor.datatype}", param=tensor.name)
    if own is None or len(getattr(tensor.contents, own)) != count:
        raise RequestError(f"{tensor.name}: the contents do not have {count} elements", param=tensor.name)


def _check_form(tensor: Any, ours: Tensor) -> None:
    datatype = ours.data_type.removeprefix("TYPE_").replace("STRING", _BYTES)
    if tensor.datatype != datatype:
        raise RequestError(f"{ours.name} must be {datatype}, not {tensor.datatype}", param=ours.name)
    if len(tensor.shape) != 1 or (ours.size >= 0 and tensor.shape[0] != ours.size):
        size = "any number" if ours.size < 0 else ours.size
        raise RequestError(f"{ours.name} must have one dimension of {size}, not {list(tensor.shape)}", param=ours.name)


def _check_element(name: str, content: bytes) -> None:
    if not is_one_element(content):
        raise RequestError(f"{name} must be one element: its length as 4 bytes, then its bytes", param=name)
