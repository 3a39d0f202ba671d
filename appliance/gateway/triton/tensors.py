"""Encodes requests and decodes deltas of our Triton tensor contract, as bytes. It opens no connection.

Tensors are sent in `raw_*_contents`, little-endian; a BYTES element is a 4-byte length and that many bytes
(KServe v2 protocol, "binary tensor data" extension).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from typing import Any

from tritonclient.grpc import service_pb2

from appliance.errors import ApplianceError, EngineError, RequestError, UnavailableError
from appliance.gateway.triton.completion import CompletionRequest, Delta
from appliance.inference import error_text, logprobs
from appliance.inference.events import Usage
from appliance.inference.tensors import OPENS_STREAM, PRINCIPAL, element, elements

_TRUE = b"\x01"
_FALSE = b"\x00"
# Parts of Triton's messages for a model that is not loaded, or not yet loaded.
NOT_LOADED = ("unknown model", "is not ready", "is not found", "has no available versions")


def opening_message(model: str) -> Any:
    """Return the ModelInferRequest that opens a stream to this model, and has no response."""
    message = service_pb2.ModelInferRequest(model_name=model)
    message.parameters[OPENS_STREAM].bool_param = True
    return message


def request_message(request: CompletionRequest, principal: str) -> Any:
    """Return the ModelInferRequest for this completion, which has one prompt, and this principal."""
    message = service_pb2.ModelInferRequest(model_name=request.model, id=request.request_id)
    (prompt,) = request.prompts
    count = len(prompt)
    _add(message, "input_ids", "INT32", count, struct.pack(f"<{count}i", *prompt))
    _add(message, "stream", "BOOL", 1, _TRUE if request.stream else _FALSE)
    _add(message, "sampling_parameters", "BYTES", 1, _json_element(request.sampling))
    _add(message, "request_options", "BYTES", 1, _json_element({"timeout_s": request.timeout_s}))
    _add(message, PRINCIPAL, "BYTES", 1, element(principal.encode()))
    _add(message, "return_finish_reason", "BOOL", 1, _TRUE)
    if "logprobs" in request.sampling:
        _add(message, "return_logprobs", "BOOL", 1, _TRUE)
    if "prompt_logprobs" in request.sampling:
        _add(message, "return_prompt_logprobs", "BOOL", 1, _TRUE)
    return message


def in_name_of(principal: str, message: Any) -> Any:
    """Return the ModelInferRequest, which names no principal, with the given principal as its first input."""
    named = service_pb2.ModelInferRequest()
    first = named.inputs.add(name=PRINCIPAL, datatype="BYTES", shape=[1])
    # Triton requires that the contents of all inputs are sent in the same way.
    if any(one.HasField("contents") for one in message.inputs):
        first.contents.bytes_contents.append(principal.encode())
    else:
        named.raw_input_contents.append(element(principal.encode()))
    named.MergeFrom(message)
    return named


def delta(response: Any, prompt: Iterator[int]) -> Delta:
    """Decode one ModelInferResponse; outputs that it lacks count as empty.

    Args:
        response: the response.
        prompt: the tokens of the prompt after its first; those whose log-probabilities arrive are taken from it.

    Raises:
        EngineError: the model's answer does not follow the contract.
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
            logprobs=logprobs.read(ids, _text(raw["logprobs"])) if "logprobs" in raw else (),
            finish_reason="" if reason == "None" else reason,
            usage=None if usage is None else _usage(usage),
            prompt_logprobs=logprobs.read_next(prompt, _text(raw.get("prompt_logprobs", b""))),
            stop_reason=None if usage is None else usage.get("stop_reason"),
        )
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineError(f"the model's answer has an unexpected format: {error}") from error


def error(message: str, client_names: Mapping[str, str] | None = None) -> ApplianceError:
    """Convert an error that Triton returned to ours; an error of unknown origin becomes an EngineError.

    Parameters in `client_names` get the client's names.
    """
    found = error_text.read(message)
    if isinstance(found, RequestError):
        param, text = found.param, found.message
        name = (client_names or {}).get(param, param)
        # Some messages begin with the parameter's name.
        renamed = name + text[len(param) :] if param and text.startswith(f"{param} ") else text
        return type(found)(renamed, param=name)
    if found is not None:
        return found
    if any(words in message for words in NOT_LOADED):
        return UnavailableError("the model is not loaded", hint="try again in a moment")
    return EngineError(f"Triton reports: {message}")


def _add(message: Any, name: str, datatype: str, count: int, content: bytes) -> None:
    message.inputs.add(name=name, datatype=datatype, shape=[count])
    message.raw_input_contents.append(content)


def _json_element(value: Any) -> bytes:
    return element(json.dumps(value).encode())


def _text(raw: bytes) -> str:
    """Concatenate the elements of a BYTES tensor; usually there is only one."""
    return b"".join(elements(raw)).decode()


def _usage(value: dict[str, Any]) -> Usage:
    """Answers of other backends may lack the seconds and the drafts."""
    counts = (int(value[name]) for name in ("prompt_tokens", "cached_tokens", "completion_tokens"))
    seconds = (float(value.get(name, 0.0)) for name in ("queue_s", "prefill_s", "decode_s"))
    drafts = (int(value.get(name, 0)) for name in ("accepted_draft_tokens", "rejected_draft_tokens"))
    return Usage(*counts, *seconds, *drafts)
