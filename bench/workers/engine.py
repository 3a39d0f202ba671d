"""The engine alone in this process, without Triton and gateway. Run by our own interpreter."""

from __future__ import annotations

import itertools
import os
import queue
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from appliance import __version__
from appliance.artefact.folder import read_manifest
from appliance.artefact.manifest import GRAPH_DATA
from appliance.engine.engine import Engine
from appliance.engine.request import Request
from appliance.engine.runner import MAX_DRAFT_TOKENS, Runner
from appliance.engine.runners import open_runner, packed_graph
from appliance.inference.config import EngineConfig
from appliance.inference.events import Event, FinishEvent, FinishReason, TokenEvent
from appliance.inference.sampling import SamplingParams
from appliance.inference.structured_output import StructuredOutput
from appliance.onnx_runtime import ort
from bench.assignment import Assignment
from bench.workers.arrivals import Arrival
from bench.workers.measure import Figures
from bench.workers.memory import mapped_bytes
from bench.workers.prompts import Prompts
from bench.workers.rim import work
from bench.workers.timeline import Timeline, steady_rate

_WAIT_S = 600.0
# The default of the box.
_QUEUE = EngineConfig.max_queue
_GOOD_ENDS = {FinishReason.STOP, FinishReason.LENGTH, FinishReason.CANCELLED}


class EngineSubject:
    """See `Subject`."""

    takes_newcomers = True
    spawned_at: float | None = None

    def __init__(self, assignment: Assignment) -> None:
        self._folder = folder = Path(assignment.model)
        self._manifest = manifest = read_manifest(folder)
        self._weights_bytes = manifest.file(GRAPH_DATA).size_bytes
        self._packed = Path(assignment.packed).resolve() if assignment.packed else None
        self._row_bytes = manifest.shape.cache_bytes_per_token
        work = assignment.work
        self._config = config = EngineConfig(
            slots=work.slots,
            max_context_tokens=work.context_tokens,
            cache_bytes=work.slots * work.context_tokens * self._row_bytes,
            max_queue=max(_QUEUE, *work.queues, 0),
            threads=assignment.threads,
            packed=assignment.packed,
            speculation=bool(work.task_tokens),
        )
        self._wanted = StructuredOutput.from_mapping({"json": work.schema}) if work.schema else None
        self._engine = Engine.load(folder, config)
        self._ids = (str(number) for number in itertools.count())

    @property
    def versions(self) -> Mapping[str, str]:
        """See `Subject`."""
        return {"appliance": __version__, "onnxruntime": ort.__version__}

    @property
    def processes(self) -> Sequence[int]:
        """See `Subject`."""
        return [os.getpid()]

    def held_bytes(self) -> int:
        """The weights, and all cache rows that were written at least once.

        Packed weights are mapped: the pages that were read are resident.
        """
        weights_bytes = mapped_bytes(self._packed) if self._packed else self._weights_bytes
        return weights_bytes + self._engine.stats().cache_tokens_used * self._row_bytes

    def complete(self, prompts: Sequence[Sequence[int]], tokens: int) -> list[Timeline]:
        """See `Subject`."""
        streams = [_Stream() for _ in prompts]
        for prompt, stream in zip(prompts, streams, strict=True):
            self._submit(prompt, tokens, stream)
        return [stream.finish() for stream in streams]

    def join(self, prompts: Sequence[Sequence[int]], tokens: int, newcomers: Sequence[Sequence[int]]) -> list[float]:
        """See `Subject`."""
        streams = [_Stream() for _ in prompts]
        running = [self._submit(prompt, tokens, stream) for prompt, stream in zip(prompts, streams, strict=True)]
        for stream in streams:
            stream.wait_first()
        waits = [self.complete([newcomer], 1)[0][0][0] for newcomer in newcomers]
        for request_id in running:
            self._engine.cancel(request_id)
        for stream in streams:
            stream.finish()
        return waits

    def answer(self, prompt: Sequence[int], tokens: int) -> Timeline:
        """See `Subject`."""
        stream = _Stream()
        self._submit(prompt, tokens, stream, to_end=True)
        return stream.finish()

    def serve(self, arrivals: Sequence[Arrival]) -> list[Timeline]:
        """See `Subject`."""
        begin = time.perf_counter()
        streams = []
        for arrival in arrivals:
            due = begin + arrival.at_s
            time.sleep(max(0.0, due - time.perf_counter()))
            streams.append(_Stream(due))
            self._submit(arrival.prompt, arrival.tokens, streams[-1])
        return [stream.finish() for stream in streams]

    def logits(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """The logits of the graph that the engine runs: the engine itself returns none."""
        runner = self._runner
        exact = runner.exact
        # An exact runner computes several tokens at once with the same bits.
        most = 1 if exact is None else 1 + MAX_DRAFT_TOKENS
        rows = []
        for start in range(0, len(ids), most):
            tokens = ids[start : start + most]
            step = runner.decode(tokens, [start]) if exact is None else exact.verify([tokens], [start])
            rows.append(step.rows(range(len(tokens))).copy())
        return np.concatenate(rows)

    @cached_property
    def _runner(self) -> Runner:
        """A runner beside the engine's own, for all texts."""
        return open_runner(
            self._folder,
            self._manifest,
            slots=1,
            capacity=self._engine.max_context_tokens,
            config=self._config,
            packed=packed_graph(self._manifest, self._config),
        )

    def queue_figures(self, assignment: Assignment) -> Figures:
        """`queue_<n>`: total tokens/s while all slots decode and n requests wait."""
        work, prompts = assignment.work, Prompts(assignment.corpus, assignment.seed)
        figures: Figures = {}
        for length in work.queues:
            streams, waiting = [_Stream() for _ in range(work.slots)], [_Stream() for _ in range(length)]
            for stream in streams:
                self._submit(prompts.take(work.prompt_tokens), work.decode_tokens, stream)
            queued = [self._submit(prompts.take(work.short_tokens), 1, stream) for stream in waiting]
            figures[f"queue_{length}"] = steady_rate([stream.finish() for stream in streams])
            for request_id in queued:
                self._engine.cancel(request_id)
            for stream in waiting:
                stream.finish()
        return figures

    def close(self) -> None:
        """See `Subject`."""
        self._engine.close()

    def _submit(self, prompt: Sequence[int], tokens: int, stream: _Stream, *, to_end: bool = False) -> str:
        request_id = next(self._ids)
        sampling = SamplingParams(
            max_tokens=tokens, temperature=0.0, ignore_eos=not to_end, structured_outputs=self._wanted
        )
        self._engine.submit(Request(request_id, tuple(prompt), sampling), stream.put)
        return request_id


class _Stream:
    """Collects one request's events; `put` runs on the engine's thread and returns immediately."""

    def __init__(self, asked: float | None = None) -> None:
        self._asked = time.perf_counter() if asked is None else asked
        self._events: queue.SimpleQueue[tuple[float, Event]] = queue.SimpleQueue()
        self._timeline: Timeline = []

    def put(self, event: Event) -> None:
        self._events.put((time.perf_counter() - self._asked, event))

    def wait_first(self) -> None:
        """Wait for the first token."""
        self._take()

    def finish(self) -> Timeline:
        """Wait for the end."""
        while not self._take():
            pass
        return self._timeline

    def _take(self) -> bool:
        at, event = self._events.get(timeout=_WAIT_S)
        if isinstance(event, TokenEvent):
            self._timeline.append((at, len(event.token_ids)))
        elif isinstance(event, FinishEvent):
            if event.reason not in _GOOD_ENDS:
                raise RuntimeError(f"a completion ended early: {event.reason.value}, {event.error}")
            return True
        return False


if __name__ == "__main__":
    work(EngineSubject, EngineSubject.queue_figures)
