"""Runs a graph on given texts, and yields its prediction at each position."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from export.quality.graph_runner import GraphRunner
from export.quality.measure import Floats
from export.quality.text_set import MAX_TOKENS_PER_TEXT, PROMPTS, load_texts


@dataclass(frozen=True)
class Material:
    """The texts to read and the prompts to continue, as token ids.

    Attributes:
        texts: token ids of each text, truncated to the limits of the model and the measurement.
        prompts: token ids of each prompt.
    """

    texts: tuple[tuple[int, ...], ...]
    prompts: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, tokenizer: Tokenizer, context_tokens: int) -> Material:
        """Tokenise the text set for a model with this context."""
        limit = min(MAX_TOKENS_PER_TEXT, context_tokens)

        def encode(text: str) -> tuple[int, ...]:
            return tuple(tokenizer.encode(text, add_special_tokens=False).ids[:limit])

        return cls(tuple(encode(text.content) for text in load_texts()), tuple(encode(prompt) for prompt in PROMPTS))

    @property
    def positions(self) -> int:
        """Number of positions with a next token, over all texts."""
        return sum(len(ids) - 1 for ids in self.texts)

    @property
    def parts(self) -> int:
        """Units of progress: one per text, and one for all prompts."""
        return len(self.texts) + 1


@dataclass(frozen=True)
class Chunk:
    """Some positions of one text.

    Attributes:
        text: index of the text.
        rows: the positions, counted over all texts.
        logits: float32 [rows, tokens], the prediction at each position.
        following: int64 [rows], the text's next token.
    """

    text: int
    rows: slice
    logits: Floats
    following: npt.NDArray[np.int64]


def read_texts(runner: GraphRunner, texts: Sequence[Sequence[int]]) -> Iterator[Chunk]:
    """Yield the predictions at all positions with a next token, in order."""
    start = 0
    for index, ids in enumerate(texts):
        first = 1
        for logits in runner.logits(ids[:-1]):
            count = len(logits)
            following = np.array(ids[first : first + count], np.int64)
            yield Chunk(index, slice(start, start + count), logits, following)
            start += count
            first += count
