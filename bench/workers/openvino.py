"""OpenVINO GenAI's continuous batching pipeline. Run by the peers' interpreter."""

from __future__ import annotations

import os
import random
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import openvino_genai
from numpy.typing import NDArray

from bench.assignment import Assignment, Task
from bench.workers.arrivals import Arrival
from bench.workers.rim import work
from bench.workers.timeline import Timeline

IR = "openvino_model.xml"
# Prompt lookup: tokens drafted for each step, and the longest sequence of tokens to look for in the prompt.
_DRAFTED_TOKENS, _NGRAM_TOKENS = 5, 3


class OpenVinoSubject:
    """See `Subject`."""

    takes_newcomers = True
    spawned_at: float | None = None

    def __init__(self, assignment: Assignment) -> None:
        properties = {"INFERENCE_NUM_THREADS": assignment.threads, **assignment.properties}
        self._random = random.Random(assignment.seed)  # noqa: S311 - not a secret
        self._looks_up = "prompt_lookup" in assignment.properties
        self._requests = 0
        self._end_tokens = assignment.end_tokens
        if assignment.task is Task.QUALITY:
            model = openvino.Core().compile_model(Path(assignment.model) / IR, "CPU", properties)
            self._infer = model.create_infer_request()
            return
        scheduler = openvino_genai.SchedulerConfig()
        scheduler.max_num_seqs = assignment.work.slots
        if not assignment.work.arrivals:
            # Otherwise the default remains: prompts in chunks, which even latencies need.
            scheduler.max_num_batched_tokens = assignment.work.slots * assignment.work.context_tokens
        scheduler.enable_prefix_caching = False
        self._pipeline = openvino_genai.ContinuousBatchingPipeline(assignment.model, scheduler, "CPU", properties)

    @property
    def versions(self) -> Mapping[str, str]:
        """See `Subject`."""
        return {"openvino-genai": openvino_genai.__version__, "openvino": openvino.__version__}

    @property
    def processes(self) -> Sequence[int]:
        """See `Subject`."""
        return [os.getpid()]

    def held_bytes(self) -> None:
        """Unknown."""

    def complete(self, prompts: Sequence[Sequence[int]], tokens: int) -> list[Timeline]:
        """See `Subject`."""
        asked = time.perf_counter()
        streams = [_Stream(self._add(prompt, tokens), asked) for prompt in prompts]
        while self._pipeline.has_non_finished_requests():
            self._step(streams)
        return [stream.timeline for stream in streams]

    def join(self, prompts: Sequence[Sequence[int]], tokens: int, newcomers: Sequence[Sequence[int]]) -> list[float]:
        """Each newcomer arrives at a random time of a step."""
        streams = [_Stream(self._add(prompt, tokens), time.perf_counter()) for prompt in prompts]
        while not all(stream.timeline for stream in streams):
            self._step(streams)
        waits = []
        for newcomer in newcomers:
            begin = time.perf_counter()
            self._step(streams)
            late = _Stream(None, self._random.uniform(begin, time.perf_counter()))
            late.handle = self._add(newcomer, 1)
            while not late.timeline:
                self._step([*streams, late])
            waits.append(late.timeline[0][0])
        while self._pipeline.has_non_finished_requests():
            self._step(streams)
        return waits

    def answer(self, prompt: Sequence[int], tokens: int) -> Timeline:
        """See `Subject`."""
        asked = time.perf_counter()
        stream = _Stream(self._add(prompt, tokens, self._end_tokens), asked)
        while self._pipeline.has_non_finished_requests():
            self._step([stream])
        return stream.timeline

    def serve(self, arrivals: Sequence[Arrival]) -> list[Timeline]:
        """Each request is added before the first step after its arrival."""
        begin = time.perf_counter()
        waiting, streams = deque(arrivals), list[_Stream]()
        while waiting or self._pipeline.has_non_finished_requests():
            while waiting and begin + waiting[0].at_s <= time.perf_counter():
                arrival = waiting.popleft()
                streams.append(_Stream(self._add(arrival.prompt, arrival.tokens), begin + arrival.at_s))
            if self._pipeline.has_non_finished_requests():
                self._step(streams)
            else:
                time.sleep(max(0.0, begin + waiting[0].at_s - time.perf_counter()))
        return [stream.timeline for stream in streams]

    def logits(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """See `Subject`."""
        self._infer.reset_state()
        shape = (1, len(ids))
        inputs = {
            "input_ids": np.array([ids], np.int64),
            "attention_mask": np.ones(shape, np.int64),
            "position_ids": np.arange(len(ids), dtype=np.int64)[None],
            "beam_idx": np.zeros(1, np.int32),
        }
        logits: NDArray[np.float32] = self._infer.infer(inputs)["logits"][0]
        return logits

    def close(self) -> None:
        """Do nothing: all is freed when the process ends."""

    def _add(self, prompt: Sequence[int], tokens: int, end_tokens: Sequence[int] = ()) -> Any:
        settings = openvino_genai.GenerationConfig()
        settings.max_new_tokens = tokens
        settings.ignore_eos = not end_tokens
        settings.stop_token_ids = set(end_tokens)
        settings.do_sample = False
        if self._looks_up:
            settings.num_assistant_tokens, settings.max_ngram_size = _DRAFTED_TOKENS, _NGRAM_TOKENS
        self._requests += 1
        return self._pipeline.add_request(
            self._requests, openvino.Tensor(np.array([prompt], np.int64)), settings
        )  # fmt: skip

    def _step(self, streams: Sequence[_Stream]) -> None:
        self._pipeline.step()
        for stream in streams:
            stream.read()


class _Stream:
    """One request's tokens, as they can be read."""

    def __init__(self, handle: Any, asked: float) -> None:
        self.handle = handle
        self.timeline: Timeline = []
        self._asked = asked

    def read(self) -> None:
        """Read the tokens of the last step."""
        while self.handle.can_read():
            count = sum(len(output.generated_ids) for output in self.handle.read().values())
            self.timeline.append((time.perf_counter() - self._asked, count))


if __name__ == "__main__":
    work(OpenVinoSubject)
