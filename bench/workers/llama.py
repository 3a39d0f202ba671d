"""llama.cpp through its C API, used like its server: one batch per step. Run by the peers' interpreter."""

from __future__ import annotations

import os
import random
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from bench.assignment import Assignment
from bench.workers.arrivals import Arrival
from bench.workers.rim import work
from bench.workers.timeline import Timeline

_BATCH_TOKENS = 2048

# (token id, position, sequence, whether its logits are needed)
Item = tuple[int, int, int, bool]


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def _silent(level: int, text: bytes, user_data: Any) -> None:
    """Drop llama.cpp's own log lines."""


class LlamaSubject:
    """See `Subject`."""

    takes_newcomers = True
    spawned_at: float | None = None

    def __init__(self, assignment: Assignment) -> None:
        work = assignment.work
        llama_cpp.llama_log_set(_silent, None)
        llama_cpp.llama_backend_init()
        self._model = llama_cpp.llama_model_load_from_file(
            assignment.model.encode(), llama_cpp.llama_model_default_params()
        )  # fmt: skip
        settings = llama_cpp.llama_context_default_params()
        settings.n_ctx = work.slots * work.context_tokens
        settings.n_batch = _BATCH_TOKENS
        settings.n_threads = settings.n_threads_batch = assignment.threads
        settings.n_seq_max = work.slots
        settings.kv_unified = False
        self._context = llama_cpp.llama_init_from_model(self._model, settings)
        if not self._model or not self._context:
            raise RuntimeError(f"llama.cpp cannot load {assignment.model}")
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self._model))
        self._slots = work.slots
        self._end_tokens = frozenset(assignment.end_tokens)
        self._random = random.Random(assignment.seed)  # noqa: S311 - not a secret

    @property
    def versions(self) -> Mapping[str, str]:
        """See `Subject`."""
        return {"llama-cpp-python": llama_cpp.__version__}

    @property
    def processes(self) -> Sequence[int]:
        """See `Subject`."""
        return [os.getpid()]

    def held_bytes(self) -> None:
        """Unknown."""

    def complete(self, prompts: Sequence[Sequence[int]], tokens: int) -> list[Timeline]:
        """Prefill the prompts one after another, then decode all sequences together in each step."""
        llama_cpp.llama_memory_clear(self._memory, False)
        asked = time.perf_counter()
        timelines: list[Timeline] = []
        following: list[int] = []
        for sequence, prompt in enumerate(prompts):
            following.append(self._prefill(sequence, prompt))
            timelines.append([(time.perf_counter() - asked, 1)])
        lengths = [len(prompt) for prompt in prompts]
        for _ in range(tokens - 1):
            following = self._step(following, lengths)
            now = time.perf_counter() - asked
            for timeline in timelines:
                timeline.append((now, 1))
        return timelines

    def join(
        self,
        prompts: Sequence[Sequence[int]],
        tokens: int,  # noqa: ARG002 - here the streams end with the last newcomer
        newcomers: Sequence[Sequence[int]],
    ) -> list[float]:
        """Each newcomer arrives at a random time of a step, and the next step's batch includes its prompt."""
        llama_cpp.llama_memory_clear(self._memory, False)
        following = [self._prefill(sequence, prompt) for sequence, prompt in enumerate(prompts)]
        lengths = [len(prompt) for prompt in prompts]
        waits = []
        for newcomer in newcomers:
            begin = time.perf_counter()
            following = self._step(following, lengths)
            arrived = self._random.uniform(begin, time.perf_counter())
            following = self._step(following, lengths, newcomer)
            waits.append(time.perf_counter() - arrived)
            llama_cpp.llama_memory_seq_rm(self._memory, len(prompts), -1, -1)
        return waits

    def answer(self, prompt: Sequence[int], tokens: int) -> Timeline:
        """See `Subject`."""
        llama_cpp.llama_memory_clear(self._memory, False)
        asked = time.perf_counter()
        following, lengths = [self._prefill(0, prompt)], [len(prompt)]
        timeline: Timeline = [(time.perf_counter() - asked, 1)]
        while following[0] not in self._end_tokens and len(timeline) < tokens:
            following = self._step(following, lengths)
            timeline.append((time.perf_counter() - asked, 1))
        return timeline

    def serve(self, arrivals: Sequence[Arrival]) -> list[Timeline]:
        """Each step's batch has the next token of all running sequences, and the prompts that have arrived."""
        llama_cpp.llama_memory_clear(self._memory, False)
        begin = time.perf_counter()
        waiting, running, free = deque(_Served(each) for each in arrivals), list[_Served](), list(range(self._slots))
        served = list(waiting)
        while waiting or running:
            if not running:
                time.sleep(max(0.0, begin + waiting[0].arrival.at_s - time.perf_counter()))
            items = [item for each in running for item in each.items()]
            while waiting and free and begin + waiting[0].arrival.at_s <= time.perf_counter():
                if len(items) + len(waiting[0].following) > _BATCH_TOKENS:
                    break
                newcomer = waiting.popleft()
                newcomer.sequence = free.pop()
                items += newcomer.items()
                running.append(newcomer)
            if not items:
                continue
            self._decode(items)
            wanted = [index for index, (_, _, _, is_wanted) in enumerate(items) if is_wanted]
            tokens = [self._likeliest(index) for index in wanted]
            for each, token in zip(running, tokens, strict=True):
                each.take(token, time.perf_counter() - begin)
            for each in [each for each in running if each.is_done]:
                running.remove(each)
                llama_cpp.llama_memory_seq_rm(self._memory, each.sequence, -1, -1)
                free.append(each.sequence)
        return [each.timeline for each in served]

    def logits(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """See `Subject`."""
        llama_cpp.llama_memory_clear(self._memory, False)
        self._decode([(token, position, 0, True) for position, token in enumerate(ids)])
        return np.stack([self._row(index).copy() for index in range(len(ids))])

    def close(self) -> None:
        """See `Subject`."""
        llama_cpp.llama_free(self._context)
        llama_cpp.llama_model_free(self._model)

    def _prefill(self, sequence: int, prompt: Sequence[int]) -> int:
        """Compute a prompt in pieces of at most one batch; returns the next token."""
        last = len(prompt) - 1
        items = [(token, position, sequence, position == last) for position, token in enumerate(prompt)]
        for first in range(0, len(items), _BATCH_TOKENS):
            self._decode(items[first : first + _BATCH_TOKENS])
        return self._likeliest(last % _BATCH_TOKENS)

    def _step(self, tokens: Sequence[int], lengths: list[int], newcomer: Sequence[int] = ()) -> list[int]:
        """Decode one token of every sequence, together with a newcomer's prompt; returns the sequences' next tokens."""
        items: list[Item] = [
            (token, length, sequence, True)
            for sequence, (token, length) in enumerate(zip(tokens, lengths, strict=True))
        ]  # fmt: skip
        last = len(newcomer) - 1
        items += [(token, position, len(tokens), position == last) for position, token in enumerate(newcomer)]
        self._decode(items)
        lengths[:] = [length + 1 for length in lengths]
        if newcomer:
            self._likeliest(len(items) - 1)
        return [self._likeliest(row) for row in range(len(tokens))]

    def _decode(self, items: Sequence[Item]) -> None:
        batch = llama_cpp.llama_batch_init(len(items), 0, 1)
        try:
            batch.n_tokens = len(items)
            for index, (token, position, sequence, wanted) in enumerate(items):
                batch.token[index] = token
                batch.pos[index] = position
                batch.n_seq_id[index] = 1
                batch.seq_id[index][0] = sequence
                batch.logits[index] = wanted
            status = llama_cpp.llama_decode(self._context, batch)
        finally:
            llama_cpp.llama_batch_free(batch)
        if status:
            raise RuntimeError(f"llama_decode returned {status}")

    def _likeliest(self, index: int) -> int:
        return int(self._row(index).argmax())

    def _row(self, index: int) -> NDArray[np.float32]:
        pointer = llama_cpp.llama_get_logits_ith(self._context, index)
        return np.ctypeslib.as_array(pointer, shape=(self._vocabulary,))


class _Served:
    """A request that arrives during the measurement."""

    def __init__(self, arrival: Arrival) -> None:
        self.arrival = arrival
        self.sequence = 0
        self.following: Sequence[int] = arrival.prompt
        self.timeline: Timeline = []
        self._length = 0

    @property
    def is_done(self) -> bool:
        return len(self.timeline) == self.arrival.tokens

    def items(self) -> list[Item]:
        """Its part of the next batch: the prompt, later the last token."""
        last = len(self.following) - 1
        return [
            (token, self._length + place, self.sequence, place == last) for place, token in enumerate(self.following)
        ]

    def take(self, token: int, at_s: float) -> None:
        """Add the token that the batch gave."""
        self._length += len(self.following)
        self.following = [token]
        self.timeline.append((at_s - self.arrival.at_s, 1))


if __name__ == "__main__":
    work(LlamaSubject)
