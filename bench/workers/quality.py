"""Compares an engine's next-token distributions with the export's reference, by the same method as the export.

Every text is read once from its beginning; every position with a next token counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.workers.measure import Figures
from bench.workers.subject import Subject

_ROWS_AT_ONCE = 64

Floats = NDArray[np.float32]


def compare(subject: Subject, texts: Sequence[Sequence[int]], reference: Path) -> Figures:
    """Return `mean_kl` (nats a token), `top1_agreement` (0 to 1) and `positions` over all texts.

    Args:
        subject: the engine, which computes the logits.
        texts: token ids of each text.
        reference: contains `log_probabilities.npy`, float16 [positions, tokens], and `best.npy`, int32 [positions].

    Raises:
        ValueError: the reference was made from other texts.
    """
    kept = np.load(reference / "log_probabilities.npy", mmap_mode="r")
    best = np.load(reference / "best.npy")
    positions = sum(len(ids) - 1 for ids in texts)
    if len(kept) != positions:
        raise ValueError(f"the reference has {len(kept)} positions, the texts have {positions}")
    divergence, agreed, start = 0.0, 0, 0
    for ids in texts:
        logits = subject.logits(ids[:-1])[:, : kept.shape[1]]
        for first in range(0, len(logits), _ROWS_AT_ONCE):
            got = logits[first : first + _ROWS_AT_ONCE]
            rows = slice(start, start + len(got))
            divergence += float(kl(kept[rows].astype(np.float32), got).sum())
            agreed += int((best[rows] == got.argmax(axis=1)).sum())
            start = rows.stop
    return {"mean_kl": divergence / positions, "top1_agreement": agreed / positions, "positions": float(positions)}


def kl(expected: Floats, got: Floats) -> NDArray[np.float64]:
    """KL(expected || got) in nats for each row; both are logits or log-probabilities [rows, tokens]."""
    expected, got = _log_softmax(expected), _log_softmax(got)
    divergence: NDArray[np.float64] = (np.exp(expected) * (expected - got)).sum(axis=1, dtype=np.float64)
    return divergence


def _log_softmax(logits: Floats) -> Floats:
    shifted: Floats = logits - logits.max(axis=1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted
