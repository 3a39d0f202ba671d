"""The engine's limits, each with its unit. Values are checked for their range here, and for the model at load."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

from appliance.errors import UsageError


@dataclass(frozen=True)
class EngineConfig:
    """The limits and settings of one engine.

    Attributes:
        slots: maximum number of sequences that run at the same time.
        max_context_tokens: maximum tokens of prompt plus completion; None uses the smaller of the model's context and
            the tokens that fit `cache_bytes`.
        cache_bytes: memory for the keys and values of running sequences and cached prefixes together; on a GPU, GPU
            memory.
        prefill_chunk_tokens: prompt tokens per step while no sequence decodes.
        interleaved_chunk_tokens: prompt tokens computed between two decode steps; limits how long a new prompt delays
            running streams.
        max_queue: maximum number of requests that wait for a slot; with 0, no request waits.
        threads: threads of the graph's operators; None uses all physical cores.
        prefix_cache: whether to keep the keys and values of finished sequences for later prompts with the same prefix.
        speculation: whether to verify drafts of the next tokens, on runners that are exact.
        plan: folder of the TensorRT plan for the artefact; None for other runtimes.
        packed: folder of the artefact's packed graph for the CPU; None runs the portable graph.

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
    speculation: bool = True
    plan: str | None = None
    packed: str | None = None

    @classmethod
    def from_json(cls, text: str) -> EngineConfig:
        """Parse the output of `to_json`.

        Raises:
            UsageError: the text is not in this format, or a value is out of its range.
        """
        try:
            return cls(**json.loads(text))
        except (TypeError, ValueError) as error:
            raise UsageError(f"the engine's settings do not match this version: {error}") from error

    def to_json(self) -> str:
        """All settings as JSON, to pass them to the process that runs the engine."""
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
