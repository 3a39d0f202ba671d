"""Rules that make a greedy completion the same alone, in any batch, in any chunks, and with or without cached prefix.

Floating-point kernels round differently for different shapes. Matrix kernels compute rows in tiles (of two rows with
most n-bit formats on x86-64) and the remaining rows in another way. ONNX Runtime's attention has one kernel for a
single row and one for several rows. Within one kernel, a row's result is bit-identical whatever the other rows are.
So each row is always computed by the same kernel:

1. Prefill computes prompt rows. Chunks begin at tile boundaries, and a chunk of one row is always a whole prompt.
2. Decoding computes completion rows, in batches that the runner pads to whole tiles. This also holds for a preempted
   sequence: its completion is decoded again, not computed as a prompt.
3. Only prompt rows are shared with later prompts, up to the end of a tile.

The appliance's own operators for the CPU compute a row in the same way everywhere, whether it belongs to a prompt or to
a completion. A runner is `exact` if its graph has the attention of these operators, which is exact by construction, and
a trial finds no difference in the other operators. Then rows of completions are shared too.

On a GPU, a short chunk of a prompt has its own kernel too. The runner measures the least number of rows that are
computed like a long chunk, and pads every chunk to this number.

Without an exact runner, rule 3 has a price: the next turn of a conversation computes the last answer again. In return,
no answer depends on the content of the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from appliance.capacity import Cache

LARGEST_TILE = 8
LEAST_CHUNK = 2
# On a GPU, the runner compares prompt chunks of up to this many rows.
LONGEST_TRIAL = 64


def graph_cache(slots: int, context_tokens: int) -> Cache:
    """The cache of a graph that ONNX Runtime computes on a GPU, with the padding of chunks and batches.

    The tile size is known only after the graph is loaded, so the largest tile size is assumed.
    """
    return Cache(slots, context_tokens, spare_rows=LONGEST_TRIAL, filling_slots=LARGEST_TILE - 1)


def align_down(rows: int) -> int:
    """The greatest row number, at most `rows`, at which a chunk may begin."""
    return rows - rows % LARGEST_TILE


def chunk_rows(missing: int, limit: int) -> int:
    """Number of rows of the next chunk of a prompt that has `missing` rows to compute.

    The last chunk may exceed `limit` by a quarter. This avoids a step that would read all weights for a few rows.
    """
    limit = max(align_down(limit), LARGEST_TILE)
    return missing if missing <= limit + limit // 4 else limit


def longest_chunk(rows: int) -> int:
    """The greatest `limit` with which `chunk_rows` never exceeds `rows`; `rows` must leave a quarter above a tile."""
    limit = align_down(rows)
    while limit + limit // 4 > rows:
        limit -= LARGEST_TILE
    return limit


def find_tile(run: Callable[[int], NDArray[np.float32]]) -> int:
    """Return the least number of rows whose results equal the results of the same rows in a larger batch.

    Args:
        run: computes a batch of the given number of rows, always with the same first rows; returns [rows, columns].
    """
    whole = run(LARGEST_TILE).copy()
    tile = 1
    while tile < LARGEST_TILE and not np.array_equal(run(tile), whole[:tile]):
        tile *= 2
    return tile


def least_alike(sizes: Sequence[int], is_alike: Callable[[int], bool]) -> int:
    """Return the least size such that it and all larger sizes compute their rows like the last size.

    For runtimes that launch only a few sizes, so that each size can be tried. The result holds only for `sizes`.

    Args:
        sizes: ascending, not empty.
        is_alike: whether the rows of a size are bit-identical to the same rows in a launch of the last size.
    """
    least = sizes[-1]
    for size in reversed(sizes[:-1]):
        if not is_alike(size):
            break
        least = size
    return least


def doubling(least: int, most: int) -> tuple[int, ...]:
    """Sizes that start at `least` and double, with `most` as the last size."""
    sizes = []
    while least < most:
        sizes.append(least)
        least *= 2
    return (*sizes, most)
