"""What makes a greedy answer the same alone, in any batch, in any chunks, and with or without a cached prefix.

Floating-point kernels round differently for different shapes. ONNX Runtime's n-bit matrices on x86-64 compute rows in
pairs and a single last row in another way; its attention has one kernel for a row alone and one for several; within
each kind, a row's result depends on nothing else (measured: bit for bit). So every row keeps to one kind:

1. Prompt rows are computed by prefill: chunks begin at even rows, and none but a whole prompt is one row long.
2. Completion rows are computed by decoding, which the runner pads to an even number of rows. That also holds when a
   sequence was set back: its completion is replayed, not computed as a prompt.
3. Only prompt rows are shared with later prompts, up to an even row.

Rule 3 costs the next turn of a conversation the recomputation of the last answer, and buys that no answer depends on
what happened to be cached.
"""

from __future__ import annotations

ROWS_TOGETHER = 2


def align_down(rows: int) -> int:
    """The greatest number of rows, at most `rows`, after which a chunk may begin."""
    return rows - rows % ROWS_TOGETHER


def align_up(rows: int) -> int:
    """The least number of rows, at least `rows`, that a decode step may have."""
    return rows + rows % ROWS_TOGETHER


def chunk_rows(missing: int, limit: int) -> int:
    """Rows of the next chunk of a prompt of which `missing` rows are not computed.

    A last chunk may exceed `limit` by a quarter: that saves a step that would read all weights for a few rows.
    """
    limit = max(align_down(limit), ROWS_TOGETHER)
    return missing if missing <= limit + max(1, limit // 4) else limit
