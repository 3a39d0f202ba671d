"""Converts Triton's tensors to the engine's values and back. This module sends nothing and uses no threads.

The tensors and their meaning are those of Triton's vLLM backend (triton-inference-server/vllm_backend, src/model.py and
docs/additional_outputs.md), and a compact form: `input_ids` in, `token_ids` out.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from appliance.engine.request import Request
from appliance.engine.tokenizer import Tokenizer
from appliance.errors import (
    ApplianceError,
    DeadlineError,
    OverloadedError,
    PromptTooLongError,
    RequestError,
    UnavailableError,
)
from appliance.inference import error_text, logprobs
from appliance.inference.events import FinishEvent, FinishReason, PromptEvent, TokenEvent, TokenLogprob
from appliance.inference.sampling import SamplingParams
from appliance.inference.tensors import OPENS_STREAM

# vLLM's default, on which its clients rely. The compact form has no default: the gateway sets max_tokens.
_TEXT_MAX_TOKENS = 16
_OPTIONS = {"timeout_s", "adapter"}
# One year: longer than any client waits, and within the range of a clock.
_MAX_TIMEOUT_S = 366 * 86_400
_TEXTS = {"text_input", "sampling_parameters", "request_options"}
_LONG = 4096
_BAD_WORDS = b"bad_words"
_MAX_JSON = 4 << 20
_MAX_JSON_VALUES = 1 << 16


@dataclass(frozen=True)
class AnswerFormat:
    """The format of the answer that a client requested.

    Attributes:
        lean: the compact form: token ids in and out, instead of only text.
        stream: one response for each step, instead of one response at the end.
        prefix: text before the first text output.
        finish_reason, cumulative_logprob, logprobs, prompt_logprobs, num_input_tokens, num_output_tokens: further
            outputs to send.
    """

    lean: bool = False
    stream: bool = False
    prefix: str = ""
    finish_reason: bool = False
    cumulative_logprob: bool = False
    logprobs: bool = False
    prompt_logprobs: bool = False
    num_input_tokens: bool = False
    num_output_tokens: bool = False


@dataclass
class Piece:
    """The content of the next response: the tokens of one or more steps."""

    token_ids: list[int] = field(default_factory=list)
    text: str = ""
    logprobs: list[TokenLogprob] | None = None
    prompt_logprobs: list[TokenLogprob] = field(default_factory=list)

    def add(self, event: TokenEvent | PromptEvent) -> None:
        """Append the tokens of one step."""
        if isinstance(event, PromptEvent):
            self.prompt_logprobs += event.logprobs
            return
        self.token_ids += event.token_ids
        self.text += event.text
        if event.logprobs is not None:
            self.logprobs = [*(self.logprobs or ()), *event.logprobs]


@dataclass(frozen=True)
class Asked:
    """The content of Triton's InferenceRequest, copied out of Triton's memory.

    Attributes:
        tensors: the inputs by name.
        parameters: the request's parameters, as JSON.
    """

    tensors: dict[str, Any]
    parameters: str

    @classmethod
    def of(cls, request: Any) -> Asked:
        """Copy a request's content. Its response sender still belongs to the request."""
        return cls({tensor.name(): tensor.as_numpy() for tensor in request.inputs()}, request.parameters())

    @property
    def opens_stream(self) -> bool:
        """Whether the request only opens a stream; see `OPENS_STREAM`."""
        return not self.tensors and OPENS_STREAM in self.parameters

    @property
    def is_long(self) -> bool:
        """Whether reading the request takes too long for Triton's thread."""
        given = [array.flat[0] for name, array in self.tensors.items() if name in _TEXTS and array.size]
        if len(self.parameters) + sum(len(text) for text in given) > _LONG:
            return True
        # The first text that is encoded loads the tokenizer.
        return "bad_words" in self.parameters or any(_BAD_WORDS in text for text in given if isinstance(text, bytes))


def read_request(
    asked: Asked, request_id: str, tokenizer: Tokenizer, max_characters: int
) -> tuple[Request, AnswerFormat]:
    """Read one request.

    Args:
        asked: the request.
        request_id: the request's id in the engine.
        tokenizer: encodes `text_input`.
        max_characters: maximum characters of `text_input`.

    Raises:
        RequestError: an input is missing, contradicts another input, or has an invalid value.
    """
    tensors = asked.tensors
    lean = "input_ids" in tensors
    if lean == ("text_input" in tensors):
        raise RequestError("exactly one of text_input and input_ids must be given", param="text_input")
    stream = _flag(tensors, "stream")
    prefix = "" if lean else _prefix(tensors, stream=stream)
    answer_format = AnswerFormat(
        lean=lean,
        stream=stream,
        prefix=prefix,
        finish_reason=_flag(tensors, "return_finish_reason"),
        cumulative_logprob=_flag(tensors, "return_cumulative_logprob"),
        logprobs=_flag(tensors, "return_logprobs"),
        prompt_logprobs=_flag(tensors, "return_prompt_logprobs"),
        num_input_tokens=_flag(tensors, "return_num_input_tokens"),
        num_output_tokens=_flag(tensors, "return_num_output_tokens"),
    )
    prompt = tensors["input_ids"].tolist() if lean else _encoded(tensors, tokenizer, max_characters)
    options = _object(_text(tensors, "request_options") if "request_options" in tensors else "{}", "request_options")
    return (
        Request(
            request_id=request_id,
            prompt_ids=tuple(prompt),
            sampling=_sampling(asked, answer_format),
            principal=_text(tensors, "principal") if "principal" in tensors else "",
            adapter=_adapter(options),
            deadline=_deadline(options),
        ),
        answer_format,
    )


def response(answer_format: AnswerFormat, piece: Piece, state: AnswerState, end: FinishEvent | None) -> Any:
    """Build the InferenceResponse for a piece; `end` is given only with the last piece."""
    text = piece.text if state.is_begun else answer_format.prefix + piece.text
    state.is_begun = True
    outputs = [_strings("text_output", text)]
    if answer_format.lean:
        outputs.append(pb_utils.Tensor("token_ids", np.array(piece.token_ids, dtype=np.int32)))
        if end is not None:
            usage = {**dataclasses.asdict(end.usage), "stop_reason": end.stop_reason}
            outputs.append(_strings("usage", json.dumps(usage)))
    # The compact form omits finish_reason before the end: this saves one tensor for each token.
    if answer_format.finish_reason and (end is not None or not answer_format.lean):
        outputs.append(_strings("finish_reason", end.reason.value if end else "None"))
    if answer_format.cumulative_logprob:
        state.cumulative_logprob += sum(entry.logprob for entry in piece.logprobs or ())
        outputs.append(pb_utils.Tensor("cumulative_logprob", np.array([state.cumulative_logprob], dtype=np.float32)))
    if answer_format.logprobs:
        outputs.append(_strings("logprobs", _logprobs(piece, state)))
    if answer_format.prompt_logprobs:
        outputs.append(_strings("prompt_logprobs", _written(piece.prompt_logprobs, state)))
    if answer_format.num_input_tokens:
        outputs.append(pb_utils.Tensor("num_input_tokens", np.array([state.prompt_tokens], dtype=np.uint32)))
    if answer_format.num_output_tokens:
        outputs.append(pb_utils.Tensor("num_output_tokens", np.array([len(piece.token_ids)], dtype=np.uint32)))
    return pb_utils.InferenceResponse(output_tensors=outputs)


def error_response(error: ApplianceError) -> Any:
    """Build the InferenceResponse for an error, in the format that the gateway reads."""
    if isinstance(error, OverloadedError | UnavailableError | DeadlineError):
        code = pb_utils.TritonError.UNAVAILABLE
    elif isinstance(error, RequestError):
        code = pb_utils.TritonError.INVALID_ARG
    else:
        code = pb_utils.TritonError.INTERNAL
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(error_text.write(error), code))


def cancelled_response() -> Any:
    """Build the last InferenceResponse of a request that its client cancelled."""
    return pb_utils.InferenceResponse(
        error=pb_utils.TritonError("the request was cancelled", pb_utils.TritonError.CANCELLED)
    )


def end_error(end: FinishEvent) -> ApplianceError | None:
    """The error of a FinishEvent; None for a normal end."""
    if end.reason in {FinishReason.STOP, FinishReason.LENGTH}:
        return None
    if end.error is not None:
        return end.error
    return UnavailableError("the engine is shutting down", hint="try again in a moment")


@dataclass
class AnswerState:
    """The state of an answer between its pieces."""

    tokenizer: Tokenizer
    prompt_tokens: int
    with_logprobs: bool
    cumulative_logprob: float = 0.0
    is_begun: bool = False


def _prefix(tensors: dict[str, Any], *, stream: bool) -> str:
    """Apply vLLM's rule: the output begins with the prompt, unless it is excluded or the request streams."""
    name = "exclude_input_in_output"
    wanted = not _flag(tensors, name) if name in tensors else not stream
    if wanted and stream:
        raise RequestError(f"{name} cannot be false while streaming", param=name)
    return _text(tensors, "text_input") if wanted else ""


def _encoded(tensors: dict[str, Any], tokenizer: Tokenizer, max_characters: int) -> list[int]:
    text = _text(tensors, "text_input")
    if len(text) > max_characters:
        raise PromptTooLongError(
            f"text_input has {len(text)} characters; the limit is {max_characters}", param="text_input"
        )
    return tokenizer.encode(text)


def _sampling(asked: Asked, answer_format: AnswerFormat) -> SamplingParams:
    """Read the sampling parameters from the tensor, else from the request's parameters (sent by `generate`)."""
    name = "sampling_parameters"
    text = _text(asked.tensors, name) if name in asked.tensors else asked.parameters
    given = _object(text or "{}", "sampling_parameters")
    if not answer_format.lean and given.get("max_tokens") is None:
        given["max_tokens"] = _TEXT_MAX_TOKENS
    if answer_format.cumulative_logprob and given.get("logprobs") is None:
        given["logprobs"] = 0
    return SamplingParams.from_mapping(given)


def _deadline(options: dict[str, Any]) -> float | None:
    unknown = sorted(options.keys() - _OPTIONS)
    if unknown:
        raise RequestError(f"unknown request option {unknown[0]!r}", param=unknown[0])
    timeout_s = options.get("timeout_s")
    if timeout_s is None:
        return None
    # With `not`, NaN is rejected too.
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float) or not 0 < timeout_s <= _MAX_TIMEOUT_S:
        raise RequestError(f"timeout_s must be a number greater than 0 and at most {_MAX_TIMEOUT_S}", param="timeout_s")
    return time.monotonic() + timeout_s


def _adapter(options: dict[str, Any]) -> str | None:
    adapter = options.get("adapter")
    if adapter is not None and not isinstance(adapter, str):
        raise RequestError("adapter must be a name", param="adapter")
    return adapter


def _flag(tensors: dict[str, Any], name: str) -> bool:
    return name in tensors and bool(tensors[name].flat[0])


def _text(tensors: dict[str, Any], name: str) -> str:
    content = tensors[name].flat[0]
    try:
        return content if isinstance(content, str) else content.decode()
    except UnicodeDecodeError as error:
        raise RequestError(f"{name} is not UTF-8", param=name) from error


def _object(text: str, name: str) -> dict[str, Any]:
    # Limit the JSON, because parsing holds the interpreter's lock and the engine waits for the lock.
    if len(text) > _MAX_JSON or sum(map(text.count, "[{,")) > _MAX_JSON_VALUES:
        raise RequestError(f"{name} is longer than {_MAX_JSON} characters or {_MAX_JSON_VALUES} values", param=name)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{name} is not JSON: {error}", param=name) from error
    if not isinstance(value, dict):
        raise RequestError(f"{name} must be a JSON object", param=name)
    return value


def _strings(name: str, text: str) -> Any:
    return pb_utils.Tensor(name, np.array([text.encode()], dtype=np.object_))


def _logprobs(piece: Piece, state: AnswerState) -> str:
    """The log-probabilities in vLLM's format; "null" if the request did not ask for them."""
    if not state.with_logprobs:
        return "null"
    return _written(piece.logprobs or (), state)


def _written(tokens: Iterable[TokenLogprob], state: AnswerState) -> str:
    return logprobs.write(tokens, lambda token: state.tokenizer.decode([token]))
