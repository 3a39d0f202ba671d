"""Drafts of the next tokens by prompt lookup, and the rule that decides how many of them a step verifies.

A draft repeats what followed the last three tokens, or else the last two, where they occurred most recently in the
prompt or the completion. The engine verifies a draft together with the next token in one step. It chooses each token
from the verified rows exactly as without a draft, and a draft is right as long as it has the chosen tokens. So drafts
never change a completion, only the number of its steps.

Each draft is compared with the tokens that then follow, whether or not a step verified it. So a sequence whose drafts
are wrong costs nothing, and its drafts are used again as soon as they would have been right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from appliance.engine.runner import MAX_DRAFT_TOKENS, MAX_VERIFIED_ROWS

# Time for a further row in a step, as a share of the time for a step of one row (docs/decisions/speculation.md).
_ROW_COST = 0.08
_SUFFIXES = (3, 2)
# The first estimate of the share of right tokens, and the weight of each new token.
_FIRST_CHANCE = 0.5
_WEIGHT = 0.125
# Multiplicative hashing (Knuth, The Art of Computer Programming, volume 3, 6.4): 2^64 divided by the golden ratio.
_MULTIPLIER = 0x9E3779B97F4A7C15
_TOKEN_BITS = 18


@dataclass(frozen=True)
class Draft:
    """Proposed next tokens.

    Attributes:
        tokens: at most MAX_DRAFT_TOKENS tokens.
        chance: estimated probability that a token is right if all tokens before it are.
    """

    tokens: tuple[int, ...] = ()
    chance: float = 0.0

    def cut(self, length: int) -> Draft:
        """The draft without the tokens after the first `length`."""
        return self if length >= len(self.tokens) else Draft(self.tokens[:length], self.chance)

    def expected(self, length: int) -> float:
        """Expected number of right tokens if the first `length` tokens are verified."""
        return sum(self.chance ** (place + 1) for place in range(min(length, len(self.tokens))))


def verified_length(drafts: Sequence[Draft]) -> int:
    """The number of tokens of each draft that a step should verify, for the most expected tokens per time.

    A step computes the same number of rows for each sequence, so it costs as if each draft had this length.

    Args:
        drafts: one draft for each sequence of the step, possibly empty.
    """
    count = len(drafts)
    longest = min(max(len(draft.tokens) for draft in drafts), MAX_VERIFIED_ROWS // count - 1)

    def tokens_per_time(length: int) -> float:
        rows = count * (1 + length)
        return (count + sum(draft.expected(length) for draft in drafts)) / (1 + _ROW_COST * (rows - 1))

    return max(range(max(longest, 0) + 1), key=tokens_per_time)


class Drafter:
    """Proposes the next tokens of one sequence.

    A draft takes constant time per new token, and the index takes a fixed number of bytes per possible token: of
    n-grams with the same hash, only the last is found.
    """

    def __init__(self, tokens: list[int], most_tokens: int) -> None:
        """Observe a sequence.

        Args:
            tokens: prompt and completion so far. The owner appends to this list.
            most_tokens: maximum length of the list.
        """
        self._tokens = tokens
        self._bits = max(most_tokens, 1).bit_length() + 1
        # By suffix length and hash: the position after the last occurrence of an n-gram; 0 without any.
        self._ends: dict[int, NDArray[np.int32]] = {}
        self._indexed = 0
        self._chances = dict.fromkeys(_SUFFIXES, _FIRST_CHANCE)
        self._last: tuple[int, int, tuple[int, ...]] | None = None

    def draft(self) -> Draft:
        """Propose the tokens after the last token; an empty draft if its n-gram did not occur before."""
        self._learn()
        self._index()
        tokens = self._tokens
        for length in _SUFFIXES:
            end = self._find(length)
            if end:
                # If the draft reaches the end of the sequence, it continues with its own tokens.
                period = len(tokens) - end
                proposed = tuple(tokens[end + place % period] for place in range(MAX_DRAFT_TOKENS))
                self._last = len(tokens), length, proposed
                return Draft(proposed, self._chances[length])
        return Draft()

    def _learn(self) -> None:
        """Compare the last draft with the tokens that followed, up to its first wrong token."""
        if self._last is None:
            return
        start, length, proposed = self._last
        self._last = None
        for token, right in zip(proposed, self._tokens[start : start + MAX_DRAFT_TOKENS], strict=False):
            self._chances[length] += _WEIGHT * ((token == right) - self._chances[length])
            if token != right:
                return

    def _find(self, length: int) -> int:
        """The position after the last earlier occurrence of the last `length` tokens; 0 without any."""
        suffix = self._tokens[-length:]
        end = int(self._ends[length][self._hash(suffix)]) if len(suffix) == length else 0
        return end if self._tokens[max(end - length, 0) : end] == suffix else 0

    def _index(self) -> None:
        """Add the n-grams that end before the last token."""
        if not self._ends:
            for length in _SUFFIXES:
                self._ends[length] = self._index_all(length)
        else:
            for end in range(self._indexed + 1, len(self._tokens)):
                for length in _SUFFIXES:
                    if end >= length:
                        self._ends[length][self._hash(self._tokens[end - length : end])] = end
        self._indexed = len(self._tokens) - 1

    def _index_all(self, length: int) -> NDArray[np.int32]:
        ends = np.zeros(1 << self._bits, np.int32)
        tokens = np.array(self._tokens[:-1], np.uint64)
        count = tokens.size - length + 1
        if count > 0:
            keys = np.zeros(count, np.uint64)
            for place in range(length):
                keys = (keys << np.uint64(_TOKEN_BITS)) | tokens[place : place + count]
            hashes = (keys * np.uint64(_MULTIPLIER)) >> np.uint64(64 - self._bits)
            # Of equal hashes, the last is stored: the result of repeated indices is the last value.
            ends[hashes] = np.arange(length, length + count, dtype=np.int32)
        return ends

    def _hash(self, ngram: Sequence[int]) -> int:
        key = 0
        for token in ngram:
            key = (key << _TOKEN_BITS) | token
        return ((key * _MULTIPLIER) & (2**64 - 1)) >> (64 - self._bits)
