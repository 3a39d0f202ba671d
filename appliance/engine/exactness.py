"""What makes a greedy answer the same alone, in any batch, in any chunks, and with or without a cached prefix.

Floating-point kernels round differently for different shapes. Matrix kernels compute rows in tiles (of two with most
n-bit formats on x86-64) and the rows left over in another way; ONNX Runtime's attention has one kernel for a row alone
and one for several. Within each kind, a row's result depends on nothing else, bit for bit. So every row keeps to one
kind:

1. Prompt rows are computed by prefill: chunks begin where tiles do, and none but a whole prompt is one row long.
2. Completion rows are computed by decoding, in batches that the runner fills up to whole tiles. That also holds when a
   sequence was set back: its completion is replayed, not computed as a prompt.
3. Only prompt rows are shared with later prompts, up to the end of a tile.

On a GPU a short chunk of a prompt has a kernel of its own, too. There the runner fills every chunk up to the least
number of rows that it found to be computed as a long chunk is.

Rule 3 costs the next turn of a conversation the recomputation of the last answer, and buys that no answer depends on
what happened to be cached.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from appliance.capacity import Cache

LARGEST_TILE = 8
LEAST_CHUNK = 2
# Chunks of a prompt on a GPU are compared up to this many rows.
LONGEST_TRIAL = 64


def graph_cache(slots: int, context_tokens: int) -> Cache:
    """The cache of a graph that ONNX Runtime computes on a GPU: chunks are filled up, and batches up to whole tiles.

    How large the tiles are, the loaded graph alone can tell: the largest are counted.
    """
    return Cache(slots, context_tokens, spare_rows=LONGEST_TRIAL, filling_slots=LARGEST_TILE - 1)


def align_down(rows: int) -> int:
    """The greatest number of rows, at most `rows`, after which a chunk may begin."""
    return rows - rows % LARGEST_TILE


def chunk_rows(missing: int, limit: int) -> int:
    """Rows of the next chunk of a prompt of which `missing` rows are not computed.

    A last chunk may exceed `limit` by a quarter: that saves a step that would read all weights for a few rows.
    """
    limit = max(align_down(limit), LARGEST_TILE)
    return missing if missing <= limit + limit // 4 else limit


def find_tile(run: Callable[[int], NDArray[np.float32]]) -> int:
    """Return the least number of rows whose results are those of the same rows in a larger batch.

    Args:
        run: computes a batch of that many rows, which always begins with the same ones; returns [rows, columns].
    """
    whole = run(LARGEST_TILE).copy()
    tile = 1
    while tile < LARGEST_TILE and not np.array_equal(run(tile), whole[:tile]):
        tile *= 2
    return tile


def least_alike(sizes: Sequence[int], is_alike: Callable[[int], bool]) -> int:
    """Return the least size from which on every size computes its rows as the last does.

    For runtimes that launch few sizes only, so that each can be tried; nothing is concluded about other sizes.

    Args:
        sizes: ascending, not empty.
        is_alike: whether a size's rows have the very bits that they have in a launch of the last size.
    """
    least = sizes[-1]
    for size in reversed(sizes[:-1]):
        if not is_alike(size):
            break
        least = size
    return least


def doubling(least: int, most: int) -> tuple[int, ...]:
    """Sizes from `least` on, each twice the one before, and `most` at the end."""
    sizes = []
    while least < most:
        sizes.append(least)
        least *= 2
    return (*sizes, most)
