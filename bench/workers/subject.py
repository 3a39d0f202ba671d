"""What every engine offers to the measurements: complete prompts at the same time, and say when tokens came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bench.workers.timeline import Timeline


class Subject(Protocol):
    """An engine with a model loaded. Decoding is greedy and does not end before the tokens asked for are there."""

    @property
    def takes_newcomers(self) -> bool:
        """Whether a sequence can join others that decode: what `join` needs."""
        ...

    @property
    def versions(self) -> Mapping[str, str]:
        """Names and versions of the libraries that do the work."""
        ...

    @property
    def processes(self) -> Sequence[int]:
        """Ids of the processes whose memory counts."""
        ...

    @property
    def spawned_at(self) -> float | None:
        """`time.monotonic()` when the engine's own process was started; None: the worker is that process."""
        ...

    def held_bytes(self) -> int | None:
        """Memory in weights and cache now; None if it is not known."""
        ...

    def complete(self, prompts: Sequence[Sequence[int]], tokens: int) -> list[Timeline]:
        """Complete the prompts at the same time, `tokens` tokens each."""
        ...

    def join(self, prompts: Sequence[Sequence[int]], tokens: int, newcomers: Sequence[Sequence[int]]) -> list[float]:
        """Complete `prompts`; once all decode, bring the newcomers in, one after another.

        Returns each newcomer's seconds to its first token.
        """
        ...

    def logits(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """The logits after each token of a text, [tokens, vocabulary]."""
        ...

    def close(self) -> None:
        """Free everything."""
        ...
