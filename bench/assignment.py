"""A worker's assignment, sent as JSON. Standard library only, because the peers' interpreters import this file."""

from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class Task(enum.Enum):
    """The kind of measurement."""

    SPEED = "speed"
    QUALITY = "quality"


@dataclass(frozen=True)
class Work:
    """The settings of the measurements.

    Attributes:
        streams: numbers of concurrently decoding completions, with one figure each.
        prompt_tokens: length of these completions' prompts.
        decode_tokens: completion tokens of each.
        prefill_tokens: lengths of the prompts whose prefill is timed.
        continued_tokens: completion tokens after each of these prompts, whose rate is a figure; 0 omits it.
        short_tokens: length of the prompt whose TTFT is measured.
        busy_streams: completions that decode meanwhile; 0 omits that figure.
        repeats: number of TTFT measurements; the median counts.
        slots: sequences that the engine must be able to hold.
        context_tokens: maximum tokens of each sequence.
        task_tokens: maximum tokens of the answer to each task; 0 omits the tasks.
        arrivals: number of requests that arrive over time; 0 omits their figures.
        arrival_gap_s: mean seconds between two of these requests.
        arrival_prompts, arrival_completions: the lengths of these requests, in tokens; each request has one of each.
        queues: for our own engine: numbers of requests that wait while all slots decode, with one figure each.
        schema: a JSON schema that every completion must match, for our own engine; empty for none.
    """

    streams: tuple[int, ...] = (1, 4, 8, 16)
    prompt_tokens: int = 128
    decode_tokens: int = 128
    prefill_tokens: tuple[int, ...] = (1000,)
    continued_tokens: int = 0
    short_tokens: int = 32
    busy_streams: int = 8
    repeats: int = 3
    slots: int = 16
    context_tokens: int = 2048
    task_tokens: int = 0
    arrivals: int = 0
    arrival_gap_s: float = 0.0
    arrival_prompts: tuple[int, ...] = (32, 64, 256, 1000)
    arrival_completions: tuple[int, ...] = (32, 64, 96)
    queues: tuple[int, ...] = ()
    schema: str = ""


FULL = Work()
LONG = Work(
    streams=(), prefill_tokens=(500, 1000, 2000, 4000, 8000), busy_streams=0, repeats=1, slots=1, context_tokens=8192
)
USE = Work(streams=(), prefill_tokens=(), busy_streams=0, repeats=1, task_tokens=192, arrivals=20)
GROWTH = Work(
    streams=(), prefill_tokens=(500, 1000, 2000, 4000, 8000, 16000, 32000), continued_tokens=32, busy_streams=0,
    repeats=1, slots=8, context_tokens=32768, queues=(0, 10, 100, 1000),
)  # fmt: skip
PRESETS = Work(streams=(1, 8), busy_streams=0, slots=8)
GRAMMARS = Work(streams=(1, 8), decode_tokens=256, busy_streams=0, slots=8)
QUICK = Work(
    streams=(1, 2), prompt_tokens=16, decode_tokens=8, prefill_tokens=(64,), short_tokens=8, busy_streams=2, repeats=1,
    slots=4, context_tokens=128,
)  # fmt: skip
QUICK_USE = Work(
    streams=(), prefill_tokens=(), short_tokens=8, busy_streams=0, repeats=1, slots=4, context_tokens=128,
    task_tokens=8, arrivals=4, arrival_gap_s=0.05, arrival_prompts=(8, 16), arrival_completions=(4, 8),
)  # fmt: skip
QUICK_GROWTH = Work(
    streams=(), prompt_tokens=16, decode_tokens=32, prefill_tokens=(32, 64), continued_tokens=4, short_tokens=8,
    busy_streams=0, repeats=1, slots=2, context_tokens=128, queues=(0, 20),
)  # fmt: skip


@dataclass(frozen=True)
class Assignment:
    """One run of one worker.

    Attributes:
        task: the kind of measurement.
        model: the file or folder that the engine loads.
        tasks: token ids of the prompts of tasks, by their kind.
        end_tokens: the tokens that end the answer to a task.
        packed: the folder of the packed graph that our engine loads.
        properties: properties of the peer's runtime, by name.
        threads: compute threads.
        seed: seed of the prompts.
        corpus: token ids of ordinary text, from which prompts are cut.
        spawned_at: `time.monotonic()` of the parent just before the worker was started.
        work: see Work.
        texts: for QUALITY: token ids of each text.
        reference: for QUALITY: the folder of the export's reference for these texts.
    """

    task: Task
    model: str
    threads: int
    seed: int
    corpus: tuple[int, ...]
    spawned_at: float = 0.0
    work: Work = field(default_factory=Work)
    texts: tuple[tuple[int, ...], ...] = ()
    reference: str = ""
    tasks: Mapping[str, tuple[tuple[int, ...], ...]] = field(default_factory=dict)
    end_tokens: tuple[int, ...] = ()
    packed: str | None = None
    properties: Mapping[str, int] = field(default_factory=dict)

    def to_text(self) -> str:
        """The assignment as one line of JSON."""
        return json.dumps({**dataclasses.asdict(self), "task": self.task.value})

    @classmethod
    def from_text(cls, text: str) -> Assignment:
        """Parse the output of `to_text`."""
        value: dict[str, Any] = json.loads(text)
        work: dict[str, Any] = {
            key: tuple(item) if isinstance(item, list) else item for key, item in value.pop("work").items()
        }
        return cls(
            **{
                **value,
                "task": Task(value["task"]),
                "corpus": tuple(value["corpus"]),
                "texts": tuple(tuple(ids) for ids in value["texts"]),
                "tasks": {kind: tuple(tuple(ids) for ids in several) for kind, several in value["tasks"].items()},
                "end_tokens": tuple(value["end_tokens"]),
                "work": Work(**work),
            }
        )
