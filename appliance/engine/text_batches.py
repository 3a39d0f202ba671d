"""Chooses which texts or pairs a pooling model computes together. Rules without I/O, clock, tensors or threads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

# Measured with all-MiniLM-L6-v2 on two cores: larger batches are not faster.
BATCH_TOKENS = 4096
# The texts that are chosen before new requests are considered again: a few seconds of work at most.
WINDOW_TOKENS = 8192


def window(lengths: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Choose the next texts, in turn one of each request, so that a small request does not wait for a large one.

    Args:
        lengths: for each request, the tokens of each of its waiting texts; oldest request first.

    Returns:
        (request, text) for each chosen text; at least one.
    """
    chosen: list[tuple[int, int]] = []
    tokens = 0
    columns = zip_longest(*lengths)
    for text, row in enumerate(columns):
        for request, length in enumerate(row):
            if length is None:
                continue
            if chosen and tokens + length > WINDOW_TOKENS:
                return chosen
            chosen.append((request, text))
            tokens += length
    return chosen


def batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Group texts of similar length, so that padding costs little; longest first.

    Args:
        lengths: the tokens of each text.

    Yields:
        The indexes of a batch's texts: with padding at most BATCH_TOKENS tokens, or one text.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    batch: list[int] = []
    for index in order:
        if batch and lengths[batch[0]] * (len(batch) + 1) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
