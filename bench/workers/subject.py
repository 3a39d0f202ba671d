"""The interface of all engines: complete prompts concurrently, and report when each token arrived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bench.workers.arrivals import Arrival
from bench.workers.timeline import Timeline


class Subject(Protocol):
    """An engine with a loaded model.

    Decoding is greedy and ends only after the requested number of tokens, except in `answer`.
    """

    @property
    def takes_newcomers(self) -> bool:
        """Whether a sequence can join decoding sequences, which `join` and `serve` need."""
        ...

    @property
    def versions(self) -> Mapping[str, str]:
        """Names and versions of the engine's libraries."""
        ...

    @property
    def processes(self) -> Sequence[int]:
        """Ids of the processes whose memory is measured."""
        ...

    @property
    def spawned_at(self) -> float | None:
        """`time.monotonic()` when the engine's process was started; None: the worker itself is that process."""
        ...

    def held_bytes(self) -> int | None:
        """Current bytes of weights and cache; None if unknown."""
        ...

    def complete(self, prompts: Sequence[Sequence[int]], tokens: int) -> list[Timeline]:
        """Complete the prompts concurrently, with `tokens` tokens each."""
        ...

    def join(self, prompts: Sequence[Sequence[int]], tokens: int, newcomers: Sequence[Sequence[int]]) -> list[float]:
        """Complete `prompts`; when all of them decode, add the newcomers one after another.

        Returns each newcomer's seconds to its first token.
        """
        ...

    def answer(self, prompt: Sequence[int], tokens: int) -> Timeline:
        """Complete one prompt until the end of the answer, with at most `tokens` tokens."""
        ...

    def serve(self, arrivals: Sequence[Arrival]) -> list[Timeline]:
        """Complete requests that arrive over time; the seconds of each count from its arrival."""
        ...

    def logits(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """The logits after each token of a text, [tokens, vocabulary]."""
        ...

    def close(self) -> None:
        """Free all resources."""
        ...
