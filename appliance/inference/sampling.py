"""A request's parameters for sampling and for the end of a completion. This module checks values only."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from appliance.errors import RequestError
from appliance.inference.structured_output import StructuredOutput

MAX_STOP_STRINGS = 16
MAX_STOP_CHARACTERS = 1024
MAX_STOP_TOKENS = 128
MAX_BIASED_TOKENS = 1024
MAX_ALLOWED_TOKENS = 4096
MAX_BAD_WORDS = 128
MAX_BAD_WORD_CHARACTERS = 256
MAX_LOGPROBS = 20
MAX_LOGPROB_TOKENS = 4096
# Log-probabilities of prompts in one answer. They are sent as they are computed, but the client's side collects them.
MAX_PROMPT_FIGURES = 1 << 17
# Limits that are safe for float32 arithmetic and for token counts.
MAX_FACTOR = 1e6
MAX_COUNT = (1 << 31) - 1
_SEED_BITS = 64


@dataclass(frozen=True)
class SamplingParams:
    """The sampling parameters of one request, with vLLM's names and meanings.

    They are applied in vLLM's order: logit bias, penalties, temperature, min_p, top_k, top_p. All of them apply only to
    the tokens that `structured_outputs` allows.

    Attributes:
        max_tokens: maximum number of completion tokens; None means as many as fit the context. With 0, the prompt is
            computed and no token is generated.
        temperature: 0 is greedy; at most 1e6.
        top_k: keep the k likeliest tokens; 0 keeps all. All counts are at most 2^31 - 1.
        top_p: keep the smallest set of likeliest tokens with at least this total probability, in (0, 1].
        min_p: drop tokens whose probability is below this share of the likeliest token's, in [0, 1].
        repetition_penalty: divides positive and multiplies negative logits of tokens in prompt or completion; in
            [1e-6, 1e6].
        presence_penalty: subtracted once from tokens of the completion, in [-2, 2].
        frequency_penalty: subtracted from tokens of the completion once per occurrence, in [-2, 2].
        logit_bias: added to the logits of these token ids, each in [-100, 100].
        allowed_token_ids: only these tokens can be chosen, end tokens included; None allows all.
        bad_words: texts whose tokens are not chosen in a row, with and without a space before them, as in vLLM: other
            tokens of the same text are possible. Without another possible token, a bad word is chosen.
        seed: the same seed gives the same tokens, alone or in a batch; None draws a random seed. A signed or unsigned
            64-bit integer.
        stop: strings that end the completion; they are not part of its text.
        stop_token_ids: tokens that end the completion, in addition to the model's own; at most 2^31 - 1.
        ignore_eos: continue after the model's own end tokens.
        min_tokens: minimum number of completion tokens before an end token.
        logprobs: None for no log-probabilities; n for those of the chosen token and the n likeliest, n in [0, 20].
        logprob_token_ids: the log-probabilities of these tokens, in place of the likeliest; only with `logprobs`, and
            for a completion of one token.
        prompt_logprobs: None for no log-probabilities of the prompt; n for those of each token of the prompt after the
            first, and of the n likeliest tokens in its place, n in [0, 20].
        structured_outputs: the grammar that the text must match; None for any text. `min_tokens` and `ignore_eos`
            exclude end tokens only while the grammar allows other tokens; if it allows only the end, the completion
            ends.
            `max_tokens`, `stop` and `stop_token_ids` may end a completion before it matches.

    Raises:
        RequestError: a value is out of its range; `param` names it.
    """

    max_tokens: int | None = None
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    allowed_token_ids: tuple[int, ...] | None = None
    bad_words: tuple[str, ...] = ()
    seed: int | None = None
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    ignore_eos: bool = False
    min_tokens: int = 0
    logprobs: int | None = None
    logprob_token_ids: tuple[int, ...] = ()
    prompt_logprobs: int | None = None
    structured_outputs: StructuredOutput | None = None

    def __post_init__(self) -> None:
        self._check_numbers()
        self._check_counts()
        self._check_ends()
        self._check_exclusions()
        self._check_logprob_tokens()

    @classmethod
    def from_mapping(cls, value: Mapping[str, Any]) -> SamplingParams:
        """Read a parsed JSON object whose keys are this class's fields.

        Numbers may be strings, `stop` may be one string, and `top_k` may be -1 for "all", because clients of Triton's
        vLLM backend send such values.

        Raises:
            RequestError: a key is unknown, or a value has the wrong type or is out of range; `param` names the key.
        """
        for key in value:
            if key not in _READERS:
                raise RequestError(
                    f"unknown sampling parameter {key!r}",
                    hint=f"supported: {', '.join(sorted(_READERS))}",
                    param=key,
                )
        known: dict[str, Any] = {}
        for key, given in value.items():
            if given is None:
                continue
            try:
                known[key] = _READERS[key](given)
            except (TypeError, ValueError, OverflowError, AttributeError) as error:
                raise RequestError(f"{key} cannot be {given!r}", param=key) from error
        return cls(**known)

    @property
    def is_greedy(self) -> bool:
        """Whether the likeliest token is always chosen, without random numbers."""
        return self.temperature == 0.0 or self.top_k == 1

    @property
    def has_penalties(self) -> bool:
        """Whether earlier tokens change the logits."""
        return self.repetition_penalty != 1.0 or self.presence_penalty != 0.0 or self.frequency_penalty != 0.0

    def _check_numbers(self) -> None:
        _check_range("temperature", self.temperature, low=0.0, high=MAX_FACTOR)
        _check_range("top_p", self.top_p, low=0.0, high=1.0, open_low=True)
        _check_range("min_p", self.min_p, low=0.0, high=1.0)
        _check_range("repetition_penalty", self.repetition_penalty, low=1 / MAX_FACTOR, high=MAX_FACTOR)
        _check_range("presence_penalty", self.presence_penalty, low=-2.0, high=2.0)
        _check_range("frequency_penalty", self.frequency_penalty, low=-2.0, high=2.0)

    def _check_counts(self) -> None:
        if self.max_tokens is not None:
            _check_range("max_tokens", self.max_tokens, low=0, high=MAX_COUNT)
        _check_range("top_k", self.top_k, low=0, high=MAX_COUNT)
        _check_range("min_tokens", self.min_tokens, low=0, high=MAX_COUNT)
        if self.seed is not None:
            _check_range("seed", self.seed, low=-(1 << (_SEED_BITS - 1)), high=(1 << _SEED_BITS) - 1)
        if self.max_tokens is not None and self.min_tokens > self.max_tokens:
            raise RequestError(
                f"min_tokens {self.min_tokens} is greater than max_tokens {self.max_tokens}", param="min_tokens"
            )
        for name, wanted in (("logprobs", self.logprobs), ("prompt_logprobs", self.prompt_logprobs)):
            if wanted is not None:
                _check_range(name, wanted, low=0, high=MAX_LOGPROBS)

    def _check_ends(self) -> None:
        if len(self.stop) > MAX_STOP_STRINGS:
            raise RequestError(
                f"{len(self.stop)} stop strings are too many for one request",
                hint=f"send at most {MAX_STOP_STRINGS}",
                param="stop",
            )
        for text in self.stop:
            if not 0 < len(text) <= MAX_STOP_CHARACTERS:
                raise RequestError(f"a stop string must have 1 to {MAX_STOP_CHARACTERS} characters", param="stop")
        if len(self.stop_token_ids) > MAX_STOP_TOKENS:
            raise RequestError(f"more than {MAX_STOP_TOKENS} stop tokens", param="stop_token_ids")
        if len(self.logit_bias) > MAX_BIASED_TOKENS:
            raise RequestError(f"more than {MAX_BIASED_TOKENS} biased tokens", param="logit_bias")
        for name, tokens in (("stop_token_ids", self.stop_token_ids), ("logit_bias", self.logit_bias)):
            for token in tokens:
                _check_range(f"a token of {name}", token, low=0, high=MAX_COUNT, param=name)
        for token, bias in self.logit_bias.items():
            _check_range(f"logit_bias of token {token}", bias, low=-100.0, high=100.0, param="logit_bias")

    def _check_exclusions(self) -> None:
        allowed = self.allowed_token_ids
        if allowed is not None and not 0 < len(allowed) <= MAX_ALLOWED_TOKENS:
            raise RequestError(
                f"allowed_token_ids must have 1 to {MAX_ALLOWED_TOKENS} tokens", param="allowed_token_ids"
            )
        for token in allowed or ():
            _check_range("a token of allowed_token_ids", token, low=0, high=MAX_COUNT, param="allowed_token_ids")
        if len(self.bad_words) > MAX_BAD_WORDS:
            raise RequestError(f"more than {MAX_BAD_WORDS} bad words", param="bad_words")
        for word in self.bad_words:
            if not word.strip() or len(word) > MAX_BAD_WORD_CHARACTERS:
                raise RequestError(
                    f"a bad word must have 1 to {MAX_BAD_WORD_CHARACTERS} characters, not only spaces",
                    param="bad_words",
                )
        for name, given in (("allowed_token_ids", allowed), ("bad_words", self.bad_words)):
            if given and self.structured_outputs is not None:
                raise RequestError(
                    f"{name} cannot be combined with a schema or a grammar: it alone decides which tokens are allowed",
                    param=name,
                )

    def _check_logprob_tokens(self) -> None:
        name, tokens = "logprob_token_ids", self.logprob_token_ids
        if not tokens:
            return
        if self.logprobs is None or self.max_tokens != 1:
            raise RequestError(f"{name} needs logprobs, and max_tokens 1", param=name)
        if len(tokens) > MAX_LOGPROB_TOKENS:
            raise RequestError(f"{name} has more than {MAX_LOGPROB_TOKENS} tokens", param=name)
        for token in tokens:
            _check_range(f"a token of {name}", token, low=0, high=MAX_COUNT, param=name)


def _check_range(name: str, value: float, *, low: float, high: float, open_low: bool = False, param: str = "") -> None:
    """Raise RequestError unless `value` is a number within the bounds. NaN is always rejected."""
    inside = low < value <= high if open_low else low <= value <= high
    if not inside:
        above = "greater than" if open_low else "at least"
        raise RequestError(f"{name} must be {above} {low:g} and at most {high:g}", param=param or name)


def _read_float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise TypeError
    return float(value)


def _read_int(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise TypeError
    if isinstance(value, float) and not value.is_integer():
        raise ValueError
    return int(value)


def _read_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}[value.lower()] if value.lower() in {"true", "false"} else bool(int(value))


def _read_top_k(value: Any) -> int:
    top_k = _read_int(value)
    return 0 if top_k == -1 else top_k


def _read_strings(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, (list, tuple)) or not all(isinstance(text, str) for text in value):
        raise TypeError
    return tuple(value)


def _read_ids(value: Any) -> tuple[int, ...]:
    if not isinstance(value, (list, tuple)):
        raise TypeError
    return tuple(_read_int(token) for token in value)


def _read_bias(value: Any) -> dict[int, float]:
    return {_read_int(token): _read_float(bias) for token, bias in value.items()}


_SPECIAL_READERS: dict[str, Callable[[Any], Any]] = {
    "top_k": _read_top_k,
    "stop": _read_strings,
    "stop_token_ids": _read_ids,
    "allowed_token_ids": _read_ids,
    "logprob_token_ids": _read_ids,
    "bad_words": _read_strings,
    "logit_bias": _read_bias,
    "structured_outputs": StructuredOutput.from_mapping,
}
_READERS_BY_TYPE: dict[str, Callable[[Any], Any]] = {
    "int": _read_int,
    "int | None": _read_int,
    "float": _read_float,
    "bool": _read_bool,
}
_READERS: dict[str, Callable[[Any], Any]] = {
    f.name: _SPECIAL_READERS.get(f.name) or _READERS_BY_TYPE[str(f.type)] for f in dataclasses.fields(SamplingParams)
}
