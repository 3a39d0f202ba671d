"""The values of a manifest. Each `from_fields` rejects values of a wrong type or beyond the bounds."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from appliance.number import real, whole

CALL_OPEN = "<tool_call>"
CALL_CLOSE = "</tool_call>"
THINK_OPEN = "<think>"
THINK_CLOSE = "</think>"
# Bytes of one element of the cache, by its type.
CACHE_BYTES: Mapping[str, int] = {"float32": 4, "float16": 2, "bfloat16": 2}
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_FILE_BYTES = 1 << 50
_MAX_END_TOKENS = 64
_MAX_TEXT = 1 << 16
# The maximum of each count, far above that of every model.
MAX_VOCABULARY = 1 << 22
MAX_TOKENS = 1 << 22
_MAX_SPECIAL_TOKENS = 16
_MOST: Mapping[str, int] = {
    "layers": 1 << 10,
    "kv_heads": 1 << 12,
    "head_dim": 1 << 10,
    "vocabulary": MAX_VOCABULARY,
    "tokens": MAX_VOCABULARY,
    "context_tokens": MAX_TOKENS,
}


@dataclass(frozen=True)
class FileEntry:
    """One file of the artefact, by plain name (no folder part)."""

    name: str
    size_bytes: int
    sha256: str

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> FileEntry:
        """Create the entry from JSON values.

        Raises:
            ValueError, TypeError, KeyError: a value is wrong.
        """
        entry = cls(**fields)
        name = text(entry.name, "a file's name")
        if "/" in name or "\\" in name or "\0" in name or name in {"", ".", ".."}:
            raise ValueError(f"it lists {name!r}, which is not a plain file name")
        bounded(entry.size_bytes, f"the size of {name}", least=0, most=_MAX_FILE_BYTES)
        if not _SHA256.fullmatch(text(entry.sha256, f"the digest of {name}")):
            raise ValueError(f"the digest of {name} is not 64 hexadecimal digits")
        return entry


CHARACTERS_A_TOKEN = 16


@dataclass(frozen=True)
class ModelShape:
    """The sizes by which the engine allocates the KV cache and runs the graph.

    Attributes:
        layers: number of past/present pairs in the graph.
        kv_heads: key/value heads per layer.
        head_dim: elements per head.
        vocabulary: columns of the logits.
        tokens: entries of the tokenizer; logits at or beyond this index are never sampled.
        context_tokens: longest prompt plus completion that the rotary tables and the training allow.
        cache_dtype: element type of past/present: "float32", "float16" or "bfloat16".
    """

    layers: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tokens: int
    context_tokens: int
    cache_dtype: str = "float32"

    @property
    def max_characters(self) -> int:
        """The longest text to accept, in characters. A token has three to five characters: a longer text cannot fit."""
        return self.context_tokens * CHARACTERS_A_TOKEN

    @property
    def cache_bytes_per_token(self) -> int:
        """Bytes of key and value cache per token, over all layers."""
        return 2 * self.layers * self.kv_heads * self.head_dim * CACHE_BYTES[self.cache_dtype]

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> ModelShape:
        """Create the shape from JSON values.

        Raises:
            ValueError, TypeError, KeyError: a value is wrong.
        """
        shape = cls(**fields)
        for name, most in _MOST.items():
            bounded(getattr(shape, name), f"the shape's {name}", least=1, most=most)
        if shape.cache_dtype not in CACHE_BYTES:
            raise ValueError(f"the type of the cache is {shape.cache_dtype!r}")
        if shape.tokens > shape.vocabulary:
            raise ValueError(f"the shape has {shape.tokens} tokens and {shape.vocabulary} logits")
        return shape


@dataclass(frozen=True)
class Generation:
    """Defaults of the checkpoint's publisher, and the tokens that end a completion."""

    eos_token_ids: tuple[int, ...]
    bos_token: str = ""
    eos_token: str = ""
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any], tokens: int) -> Generation:
        """Create the settings from JSON values; the tokenizer has `tokens` tokens.

        Raises:
            ValueError, TypeError, KeyError: a value is wrong.
        """
        given = {**fields, "eos_token_ids": tuple(fields["eos_token_ids"])}
        generation = cls(**given)
        if not 0 < len(generation.eos_token_ids) <= _MAX_END_TOKENS:
            raise ValueError(f"{len(generation.eos_token_ids)} tokens end a completion")
        for token in generation.eos_token_ids:
            bounded(token, "a token that ends a completion", least=0, most=tokens - 1)
        text(generation.bos_token, "the first token")
        text(generation.eos_token, "the end token")
        _real(generation.temperature, "the temperature", least=0.0)
        _real(generation.top_p, "top_p", least=0.0, most=1.0)
        bounded(generation.top_k, "top_k", least=0, most=MAX_VOCABULARY)
        _real(generation.repetition_penalty, "repetition_penalty", least=0.0)
        return generation


@dataclass(frozen=True)
class Conversation:
    """What the model was trained for in conversations, beyond plain turns.

    Attributes:
        tools: the format of its tool calls ("hermes", "qwen3-coder"); empty if it was not trained for tools.
        thinking: whether it can think before it answers.
    """

    tools: str = ""
    thinking: bool = False

    @property
    def marks(self) -> tuple[str, ...]:
        """The texts of the tokens that the model puts around its tool calls and thoughts."""
        calls = (CALL_OPEN, CALL_CLOSE) if self.tools else ()
        return (*calls, *((THINK_OPEN, THINK_CLOSE) if self.thinking else ()))

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Conversation:
        """Create the settings from JSON values.

        Raises:
            ValueError, TypeError: a value is wrong.
        """
        conversation = cls(**fields)
        text(conversation.tools, "the form of tool calls")
        if not isinstance(conversation.thinking, bool):
            raise TypeError(f"thinking is {conversation.thinking!r}")
        return conversation


def text(value: Any, what: str) -> str:
    """Return a text within the length limit.

    Raises:
        ValueError: the value is not such a text; `what` names it.
    """
    if not isinstance(value, str) or len(value) > _MAX_TEXT:
        raise ValueError(f"{what} is not a text of at most {_MAX_TEXT} characters")
    return value


def bounded(value: Any, what: str, *, least: int, most: int) -> int:
    """Return an integer within its bounds.

    Raises:
        ValueError: the value is not such a number; `what` names it.
    """
    try:
        return whole(value, least=least, most=most)
    except ValueError as error:
        raise ValueError(f"{what} {error}") from error


def special_tokens(value: Any, what: str, vocabulary: int) -> tuple[int, ...]:
    """Return the special tokens that surround a text.

    Raises:
        ValueError, TypeError: the value is not a short list of tokens; `what` names it.
    """
    ids = tuple(value)
    if len(ids) > _MAX_SPECIAL_TOKENS:
        raise ValueError(f"{what} has {len(ids)} tokens")
    for token in ids:
        bounded(token, f"a token of {what}", least=0, most=vocabulary - 1)
    return ids


def _real(value: Any, what: str, *, least: float, most: float = math.inf) -> float:
    try:
        return real(value, least=least, most=most)
    except ValueError as error:
        raise ValueError(f"{what} {error}") from error
