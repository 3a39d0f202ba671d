"""Encodes and decodes text with the tokenizers library. No call holds the interpreter's lock (GIL) for long.

The library releases the lock only in its batch calls. Long texts use these calls, on a separate thread.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import tokenizers

# Below this number of characters or tokens, the work takes less time than a thread switch.
_INLINE = 2048
# Long texts of all requests together use at most this many processors, so that streams continue meanwhile.
_THREADS = ThreadPoolExecutor(2, thread_name_prefix="encoder")
# It is random, so clients cannot guess it.
_SEPARATOR = f"\U0010fffd{secrets.token_hex(16)}\U0010fffd"
Result = TypeVar("Result")


class Encoder:
    """One tokenizer; several requests can use it at once."""

    def __init__(self, tokenizer: tokenizers.Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._plain = _without_added_tokens(tokenizer)
        self._splitter = _of_added_tokens_alone(tokenizer)
        added = tokenizer.get_added_tokens_decoder()
        # The splitter gives the added tokens new numbers.
        self._numbers = {self._splitter.token_to_id(token.content): number for number, token in added.items()}

    async def encode(self, text: str, *, add_special_tokens: bool = False) -> list[int]:
        """Return the tokens of a text; control texts in it become control tokens."""
        return await _run(lambda: self._fast(self._tokenizer, text, add_special_tokens), len(text))

    async def encode_content(self, text: str) -> list[int]:
        """Return the tokens of a text in which nothing is a control text."""
        return await _run(lambda: self._fast(self._plain, text), len(text))

    async def encode_signed(self, text: str, sign: str) -> list[int]:
        """Return the tokens of a rendered conversation.

        Args:
            text: the prompt, with the sign in each text that must not become a control token.
            sign: see `Marked`; it is not part of the prompt. Empty if no text has to be kept from becoming one.
        """
        if not sign:
            return await self.encode(text)
        return await _run(lambda: self._encode_signed(text, sign), len(text))

    async def decode(self, ids: Sequence[int]) -> str:
        """Return the text of tokens; special tokens are included."""

        def decode() -> str:
            return str(self._tokenizer.decode_batch([list(ids)], skip_special_tokens=False)[0])

        return await _run(decode, len(ids))

    def _encode_signed(self, text: str, sign: str) -> list[int]:
        """Keep the template's control tokens, and encode the text between them by the tokenizer's other rules."""
        controls = self._controls(text)
        clean = text.replace(sign, "")
        unsigned = [(token, _without(text, sign, span)) for token, span in controls]
        if self._controls(clean) == unsigned:
            # The signs were at ends of texts, and no neighbouring text completed a control text.
            return self._fast(self._tokenizer, clean)
        pieces, end = [], 0
        for _, (begin, after) in unsigned:
            pieces.append(clean[end:begin])
            end = after
        # One call for all pieces: each piece follows an added token, as in the prompt itself.
        joined = _SEPARATOR.join([*pieces, clean[end:]])
        numbers = iter(token for token, _ in controls)
        separator = self._plain.token_to_id(_SEPARATOR)
        return [next(numbers) if token == separator else token for token in self._fast(self._plain, joined)]

    def _controls(self, text: str) -> list[tuple[int, tuple[int, int]]]:
        """The added tokens of a text, each with its start and end."""
        encoding = self._splitter.encode_batch([text], add_special_tokens=False)[0]
        pairs = zip(encoding.ids, encoding.offsets, strict=True)
        return [(self._numbers[token], span) for token, span in pairs if token in self._numbers]

    @staticmethod
    def _fast(tokenizer: tokenizers.Tokenizer, text: str, add_special_tokens: bool = False) -> list[int]:
        ids: list[int] = tokenizer.encode_batch_fast([text], add_special_tokens=add_special_tokens)[0].ids
        return ids


def _without_added_tokens(tokenizer: tokenizers.Tokenizer) -> tokenizers.Tokenizer:
    """The same model (shared), but without control texts. The separator of pieces is the only added token."""
    plain = tokenizers.Tokenizer(tokenizer.model)
    if tokenizer.normalizer is not None:
        plain.normalizer = tokenizer.normalizer
    if tokenizer.pre_tokenizer is not None:
        plain.pre_tokenizer = tokenizer.pre_tokenizer
    plain.add_special_tokens([tokenizers.AddedToken(_SEPARATOR, special=True, normalized=False)])
    return plain


def _of_added_tokens_alone(tokenizer: tokenizers.Tokenizer) -> tokenizers.Tokenizer:
    """A tokenizer that finds added tokens by the original rules; the text between two of them is one token, 0."""
    splitter = tokenizers.Tokenizer(tokenizers.models.WordLevel({"": 0}, unk_token=""))
    if tokenizer.normalizer is not None:
        splitter.normalizer = tokenizer.normalizer
    for _, token in sorted(tokenizer.get_added_tokens_decoder().items()):
        add = splitter.add_special_tokens if token.special else splitter.add_tokens
        add([token])
    return splitter


def _without(text: str, sign: str, span: tuple[int, int]) -> tuple[int, int]:
    """The position of a span after the signs are removed."""
    begin, end = span
    before = text.count(sign, 0, begin)
    return begin - before, end - before - text.count(sign, begin, end)


async def _run(work: Callable[[], Result], size: int) -> Result:
    if size < _INLINE:
        return work()
    return await asyncio.get_running_loop().run_in_executor(_THREADS, work)
