"""Creates the cases with which a box tests a plan: a few texts, with the unquantised checkpoint's output."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from appliance.engine.parity import ParityCase
from export.quality.reading import Material
from export.quality.reference import Reference

# One prompt shorter than any tile, one of whole tiles, two that end within a tile.
_PROMPT_TOKENS = (5, 32, 77, 150)
_FURTHER_TOKENS = 12
_LIKELIEST = 32


def parity_cases(reference: Reference, material: Material) -> Iterator[ParityCase]:
    """Yield the cases: the first texts that are long enough, each with another prompt length."""
    start = 0
    wanted = list(_PROMPT_TOKENS)
    for ids in material.texts:
        # The reference has a row for each token except the last.
        if wanted and wanted[0] + _FURTHER_TOKENS < len(ids):
            prompt = wanted.pop(0)
            first = start + prompt - 1
            expected = reference.expected(slice(first, first + _FURTHER_TOKENS + 1)).log_probabilities
            count = min(_LIKELIEST, expected.shape[1])
            likeliest = np.argsort(-expected, axis=1, kind="stable")[:, :count].astype(np.int64)
            listed = np.take_along_axis(expected, likeliest, axis=1)
            yield ParityCase(ids[: prompt + _FURTHER_TOKENS], prompt, likeliest, listed)
        start += len(ids) - 1
