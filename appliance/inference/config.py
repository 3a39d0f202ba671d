"""The engine's limits, each with its unit. It checks ranges; what fits the model is checked at load."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

from appliance.errors import UsageError


@dataclass(frozen=True)
class EngineConfig:
    """How much the engine may use and hold.

    Attributes:
        slots: sequences that run at the same time at most.
        max_context_tokens: longest prompt plus completion; None takes the lesser of the model's context and what fits
            `cache_bytes`.
        cache_bytes: memory for keys and values of running sequences and cached prefixes together; on a GPU, its own.
        prefill_chunk_tokens: prompt tokens computed in one step while nothing else runs.
        interleaved_chunk_tokens: prompt tokens computed between two decode steps; bounds how long running streams
            wait for a newcomer.
        max_queue: requests that wait for a slot at most; 0 lets none wait.
        threads: threads of the graph's operators; None takes the physical cores.
        prefix_cache: keep the keys and values of finished sequences for later prompts that begin alike.
        plan: folder of the TensorRT plan that computes the artefact; None where another runtime does.

    Raises:
        UsageError: a value is out of its range.
    """

    slots: int = 8
    max_context_tokens: int | None = None
    cache_bytes: int = 1 << 30
    prefill_chunk_tokens: int = 256
    interleaved_chunk_tokens: int = 128
    max_queue: int = 256
    threads: int | None = None
    prefix_cache: bool = True
    plan: str | None = None

    @classmethod
    def from_json(cls, text: str) -> EngineConfig:
        """Read what `to_json` wrote.

        Raises:
            UsageError: it is something else, or a value is out of its range.
        """
        try:
            return cls(**json.loads(text))
        except (TypeError, ValueError) as error:
            raise UsageError(f"the engine's settings do not match this version: {error}") from error

    def to_json(self) -> str:
        """All settings as text: how they travel to the process that runs the engine."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    def __post_init__(self) -> None:
        at_least_one = {
            "slots": self.slots,
            "cache_bytes": self.cache_bytes,
            "prefill_chunk_tokens": self.prefill_chunk_tokens,
            "interleaved_chunk_tokens": self.interleaved_chunk_tokens,
            "max_context_tokens": 1 if self.max_context_tokens is None else self.max_context_tokens,
            "threads": 1 if self.threads is None else self.threads,
        }
        for name, value in at_least_one.items():
            if value < 1:
                raise UsageError(f"the engine's {name} must be at least 1, not {value}")
        if self.max_queue < 0:
            raise UsageError(f"the engine's max_queue must be at least 0, not {self.max_queue}")
