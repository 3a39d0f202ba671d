"""Cuts prompts from ordinary text. All prompts begin differently, so that no engine's prefix cache helps."""

from __future__ import annotations

import random
from collections.abc import Sequence

_OPENING = 3


class Prompts:
    """An endless sequence of prompts, reproducible by the seed."""

    def __init__(self, corpus: Sequence[int], seed: int) -> None:
        self._corpus = list(corpus)
        self._random = random.Random(seed)  # noqa: S311 - not a secret

    def take(self, length: int) -> list[int]:
        """A prompt of exactly `length` token ids: a few random ids, then text from a random position."""
        opening = self._random.choices(self._corpus, k=_OPENING)
        start = self._random.randrange(len(self._corpus))
        repeated = self._corpus * (length // len(self._corpus) + 2)
        return (opening + repeated[start : start + length])[:length]

    def several(self, count: int, length: int) -> list[list[int]]:
        """`count` prompts."""
        return [self.take(length) for _ in range(count)]
