"""The output of the unquantised checkpoint, computed once and kept: log-probabilities and greedy continuations."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from numpy.lib.format import open_memmap

from export.quality.graph_runner import GraphRunner
from export.quality.measure import Expected, log_probabilities
from export.quality.reading import Material, read_texts
from export.quality.text_set import GREEDY_TOKENS, MAX_TOKENS_PER_TEXT, load_texts

_LOG_PROBABILITIES = "log_probabilities.npy"
_BEST = "best.npy"
_FOLLOWING = "following.npy"
_GREEDY = "greedy.json"

Progress = Callable[[int, int], None]


def reference_bytes(tokens: int) -> int:
    """Maximum size of a reference on disk, for a tokenizer of `tokens` tokens."""
    return len(load_texts()) * MAX_TOKENS_PER_TEXT * tokens * np.dtype(np.float16).itemsize


def write_reference(runner: GraphRunner, material: Material, tokens: int, folder: Path, progress: Progress) -> None:
    """Read all texts and continue all prompts with the graph in 32-bit floats.

    Log-probabilities are stored in 16 bits: probable tokens have values near zero, where 16 bits are most precise, so a
    mean KL against them has an error of about 1e-7. The values for perplexity are stored in 32 bits.

    Args:
        runner: runner of the checkpoint in 32-bit floats.
        material: the texts and prompts.
        tokens: number of the tokenizer's tokens: the columns that are stored.
        folder: folder for the files.
        progress: called with (done, total).
    """
    kept = open_memmap(folder / _LOG_PROBABILITIES, "w+", np.float16, (material.positions, tokens))  # type: ignore[no-untyped-call]
    best = np.empty(material.positions, np.int32)
    following = np.empty(material.positions, np.float32)
    for chunk in read_texts(runner, material.texts):
        exact = log_probabilities(chunk.logits)
        kept[chunk.rows] = exact
        best[chunk.rows] = chunk.logits.argmax(-1)
        following[chunk.rows] = exact[np.arange(len(exact)), chunk.following]
        progress(chunk.text + 1, material.parts)
    kept.flush()
    np.save(folder / _BEST, best)
    np.save(folder / _FOLLOWING, following)
    greedy = runner.greedy(material.prompts, GREEDY_TOKENS)
    progress(material.parts, material.parts)
    (folder / _GREEDY).write_text(json.dumps(greedy), encoding="utf-8")


@dataclass(frozen=True)
class Reference:
    """A stored reference.

    Attributes:
        kept: float16 [positions, tokens], log-probabilities, mapped from the file.
        best: int32 [positions], the likeliest token.
        following: float32 [positions], log-probability of the text's next token.
        greedy: the continuation of each prompt.
    """

    kept: npt.NDArray[np.float16]
    best: npt.NDArray[np.int32]
    following: npt.NDArray[np.float32]
    greedy: list[list[int]]

    @classmethod
    def open(cls, folder: Path) -> Reference:
        """Open the output of `write_reference`, which its stage has verified."""
        return cls(
            kept=np.load(folder / _LOG_PROBABILITIES, mmap_mode="r", allow_pickle=False),
            best=np.load(folder / _BEST, allow_pickle=False),
            following=np.load(folder / _FOLLOWING, allow_pickle=False),
            greedy=json.loads((folder / _GREEDY).read_text(encoding="utf-8")),
        )

    def expected(self, rows: slice) -> Expected:
        """The reference's output at some positions, normalised again after rounding to 16 bits."""
        return Expected(log_probabilities(self.kept[rows].astype(np.float32)), self.best[rows], self.following[rows])
