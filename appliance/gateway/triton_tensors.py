"""The lean form of our Triton tensor contract as bytes: requests out, deltas in. It opens no connection.

Tensors travel in `raw_*_contents`, little-endian; a BYTES element is a 4-byte length and that many bytes
(KServe v2 protocol, "binary tensor data" extension).
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from typing import Any

from tritonclient.grpc import service_pb2

from appliance import errors
from appliance.errors import ApplianceError, EngineError, RequestError, UnavailableError
from appliance.gateway.completion import CompletionRequest, Delta, TokenLogprob, Usage

_LENGTH = struct.Struct("<I")
_TRUE = b"\x01"
_FALSE = b"\x00"
# "<ErrorClassName>[param]: message" with whatever Triton puts in front of it; "[param]" may be absent.
_ERROR = re.compile(r"\b([A-Z][A-Za-z]*Error)(?:\[([^\]]*)\])?: (.*)", re.DOTALL)
# How Triton says that it does not have a model, or not yet.
NOT_LOADED = ("unknown model", "is not ready", "is not found", "has no available versions")


def request_message(request: CompletionRequest) -> Any:
    """Return the ModelInferRequest that asks for this completion."""
    message = service_pb2.ModelInferRequest(model_name=request.model, id=request.request_id)
    count = len(request.prompt_ids)
    _add(message, "input_ids", "INT32", count, struct.pack(f"<{count}i", *request.prompt_ids))
    _add(message, "stream", "BOOL", 1, _TRUE if request.stream else _FALSE)
    _add(message, "sampling_parameters", "BYTES", 1, _json_element(request.sampling))
    _add(message, "request_options", "BYTES", 1, _json_element({"timeout_s": request.timeout_s}))
    if request.visit is not None:
        _add(message, "principal", "BYTES", 1, _element(request.visit.principal.name))
    _add(message, "return_finish_reason", "BOOL", 1, _TRUE)
    if "logprobs" in request.sampling:
        _add(message, "return_logprobs", "BOOL", 1, _TRUE)
    return message


def delta(response: Any) -> Delta:
    """Read one ModelInferResponse; the outputs that it does not have count as empty.

    Raises:
        EngineError: the model answered in a form that is not the contract's.
    """
    raw = {out.name: content for out, content in zip(response.outputs, response.raw_output_contents, strict=False)}
    try:
        packed = raw.get("token_ids", b"")
        ids = struct.unpack(f"<{len(packed) // 4}i", packed)
        reason = _text(raw.get("finish_reason", b""))
        usage = json.loads(_text(raw.get("usage", b"")) or "null")
        return Delta(
            text=_text(raw.get("text_output", b"")),
            token_ids=ids,
            logprobs=_logprobs(ids, _text(raw["logprobs"])) if "logprobs" in raw else (),
            finish_reason="" if reason == "None" else reason,
            usage=None if usage is None else _usage(usage),
            stop_reason=None if usage is None else usage.get("stop_reason"),
        )
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineError(f"the model's answer has another form than agreed: {error}") from error


def error(message: str, client_names: Mapping[str, str] | None = None) -> ApplianceError:
    """Turn an error that came through Triton back into ours; one of unknown origin becomes an EngineError.

    A parameter that is in `client_names` is named as it says there.
    """
    found = _ERROR.search(message)
    kind = getattr(errors, found[1], None) if found else None
    if found and isinstance(kind, type) and issubclass(kind, ApplianceError):
        text = found[3].strip()
        if issubclass(kind, RequestError):
            param = found[2] or ""
            name = (client_names or {}).get(param, param)
            # Some messages begin with the parameter's name.
            return kind(name + text[len(param) :] if param and text.startswith(f"{param} ") else text, param=name)
        return kind(text)
    if any(words in message for words in NOT_LOADED):
        return UnavailableError("the model is not loaded", hint="try again in a moment")
    return EngineError(f"Triton reports: {message}")


def _add(message: Any, name: str, datatype: str, count: int, content: bytes) -> None:
    message.inputs.add(name=name, datatype=datatype, shape=[count])
    message.raw_input_contents.append(content)


def _json_element(value: Any) -> bytes:
    return _element(json.dumps(value))


def _element(text: str) -> bytes:
    content = text.encode()
    return _LENGTH.pack(len(content)) + content


def elements(raw: bytes) -> list[bytes]:
    """The elements of a BYTES tensor.

    Raises:
        struct.error, ValueError: the content ends within one.
    """
    found = []
    start = 0
    while start < len(raw):
        (length,) = _LENGTH.unpack_from(raw, start)
        start += _LENGTH.size + length
        if start > len(raw):
            raise ValueError(f"a BYTES element claims {length} bytes")
        found.append(raw[start - length : start])
    return found


def _text(raw: bytes) -> str:
    """Concatenate the elements of a BYTES tensor; there is nearly always one."""
    return b"".join(elements(raw)).decode()


def _logprobs(ids: tuple[int, ...], text: str) -> tuple[TokenLogprob, ...]:
    """Read the form of Triton's vLLM backend: for each token an object from token ids to their figures.

    The object of a token holds the likeliest tokens and the chosen one, whether or not it is among them.
    """
    found = []
    for token, entry in zip(ids, json.loads(text or "[]"), strict=True):
        values = sorted(
            ((int(other), figures["logprob"]) for other, figures in entry.items()), key=lambda pair: -pair[1]
        )
        found.append(TokenLogprob(token, entry[str(token)]["logprob"], tuple(values)))
    return tuple(found)


def _usage(value: dict[str, Any]) -> Usage:
    """Another backend's answer need not have the seconds."""
    counts = (int(value[name]) for name in ("prompt_tokens", "cached_tokens", "completion_tokens"))
    seconds = (float(value.get(name, 0.0)) for name in ("queue_s", "prefill_s", "decode_s"))
    return Usage(*counts, *seconds)
