"""Runs a pooling model, which gives a row of numbers for each text: an embedding model, or a reranker with pairs.

One thread computes the texts of all requests, in batches of similar length. A fault of one batch fails the requests of
that batch. `stats` has the fields of the engine for text, so that one page shows both; figures that pooling models do
not have are 0.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil

from appliance.artefact.folder import read_manifest
from appliance.artefact.gate import check_graph
from appliance.artefact.manifest import GRAPH, ORT_CPU, Embedding, Manifest, Reranking
from appliance.artefact.watch import FileWatch
from appliance.engine.ort_session import CPU, open_session, step_error
from appliance.engine.stats import EngineStats
from appliance.engine.text_batches import batches, window
from appliance.errors import (
    ApplianceError,
    DeadlineError,
    OverloadedError,
    RequestError,
    UnavailableError,
    UnsupportedError,
)
from appliance.inference.config import EngineConfig
from appliance.inference.events import FinishReason

Rows = npt.NDArray[np.float32]
# Called once: with the rows, float32 [texts, width] in the order of the texts, or with the error.
Sink = Callable[[Rows | ApplianceError], None]
_log = logging.getLogger(__name__)


@dataclass(eq=False)
class PoolingTask:
    """One request.

    Attributes:
        texts: the tokens of each text or pair, with the special tokens.
        first_lengths: for a reranker, the tokens before the second text of each pair; empty for other models.
        deadline: time of the monotonic clock at which the request fails.
        sink: gets the result.
    """

    texts: Sequence[Sequence[int]]
    first_lengths: Sequence[int]
    deadline: float
    sink: Sink
    rows: Rows | None = None
    waiting: list[int] = field(default_factory=list)
    is_over: bool = False


class PoolingEngine:
    """See the module.

    Attributes:
        manifest: the manifest of the artefact.
        output: the name of the graph's output, which is also that of Triton's tensor.
    """

    def __init__(self, manifest: Manifest, session: Any, config: EngineConfig, watch: FileWatch | None = None) -> None:
        """Start the thread; see `load`."""
        self.manifest = manifest
        self._task = _task(manifest)
        self._width, self.output = (
            (1, "logit") if isinstance(self._task, Reranking) else (self._task.dimensions, "embedding")
        )
        self._session = session
        self._most = config.slots + config.max_queue
        self._watch = watch
        self._tasks: list[PoolingTask] = []
        self._changed = threading.Condition()
        self._is_closed = False
        self._finished: Counter[FinishReason] = Counter(dict.fromkeys(FinishReason, 0))
        self._tokens = 0
        self._steps = 0
        self._is_busy = False
        self._thread = threading.Thread(target=self._run, name="pooling", daemon=True)
        self._thread.start()

    @classmethod
    def load(cls, artefact: Path, config: EngineConfig) -> PoolingEngine:
        """Verify an artefact, load its graph, and start.

        Raises:
            UnknownModelError: the folder holds no artefact.
            IntegrityError, UnsafeFormatError, UnsupportedError: see `check_graph`.
            UnsupportedError: the artefact is for another runtime, or has another task.
            EngineError, NoSpaceError: see `open_session`.
        """
        manifest = read_manifest(artefact)
        _task(manifest)
        if manifest.runtime != ORT_CPU:
            raise UnsupportedError(f"{manifest.model} was exported for {manifest.runtime}; its task runs on the CPU")
        watch = FileWatch({artefact: list(manifest.files)})
        check_graph(artefact, manifest)
        engine = cls(manifest, open_session(artefact / GRAPH, [CPU], config.threads), config, watch)
        watch.start()
        return engine

    def submit(
        self, texts: Sequence[Sequence[int]], timeout_s: float, sink: Sink, first_lengths: Sequence[int] = ()
    ) -> PoolingTask:
        """Queue the texts of a request. Thread-safe; the sink is called on the engine's thread.

        Raises:
            RequestError: there is no text, or a text is empty or too long, or has an unknown token; or a pair has no
                second text.
            OverloadedError: too many requests wait.
            UnavailableError: the engine is closed.
        """
        self._check(texts, first_lengths)
        task = PoolingTask(texts, first_lengths, time.monotonic() + timeout_s, sink, waiting=list(range(len(texts))))
        with self._changed:
            if self._is_closed:
                raise UnavailableError("the model is shutting down", hint="try again later")
            if len(self._tasks) >= self._most:
                raise OverloadedError(f"{len(self._tasks)} requests are already waiting", hint="try again later")
            self._tasks.append(task)
            self._changed.notify()
        return task

    def cancel(self, task: PoolingTask) -> None:
        """Compute no further text of a request. Thread-safe; no effect after its end."""
        with self._changed:
            self._end(task, FinishReason.CANCELLED)

    def stats(self) -> EngineStats:
        """A snapshot. Thread-safe."""
        with self._changed:
            waiting = len(self._tasks)
            return EngineStats(
                accepts_requests=not self._is_closed,
                slots=1,
                slots_busy=int(self._is_busy),
                queue_length=max(0, waiting - int(self._is_busy)),
                cache_tokens_used=0,
                cache_tokens_total=0,
                max_context_tokens=self._task.max_tokens,
                prompt_tokens_total=self._tokens,
                completion_tokens_total=0,
                cached_tokens_total=0,
                steps_total=self._steps,
                draft_tokens_total=0,
                accepted_draft_tokens_total=0,
                preemptions_total=0,
                requests_total=dict(self._finished),
                tokens_per_second=0.0,
                files_changed=len(self._watch.changed) if self._watch else 0,
                rss_bytes=psutil.Process().memory_info().rss,
            )

    def close(self) -> None:
        """Reject new requests, fail the waiting ones, and end the thread."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()
        if self._watch is not None:
            self._watch.close()

    def _check(self, texts: Sequence[Sequence[int]], first_lengths: Sequence[int]) -> None:
        if not texts:
            raise RequestError("input is empty", param="input")
        if len(first_lengths) != (len(texts) if isinstance(self._task, Reranking) else 0):
            raise RequestError(
                f"{len(texts)} texts have {len(first_lengths)} first lengths: a reranker needs one for each pair, and "
                "other models have none",
                param="first_lengths",
            )
        for place, (length, ids) in enumerate(zip(first_lengths, texts, strict=False)):
            if not 1 <= length < len(ids):
                raise RequestError(f"pair {place} has {length} tokens before its second text", param="first_lengths")
        for place, ids in enumerate(texts):
            if not 1 <= len(ids) <= self._task.max_tokens:
                raise RequestError(
                    f"input {place} has {len(ids)} tokens; {self.manifest.model} has 1 to {self._task.max_tokens}",
                    param="input",
                )
            if min(ids) < 0 or max(ids) >= self._task.vocabulary:
                raise RequestError(f"input {place} has a token that the model does not have", param="input")

    def _run(self) -> None:
        while True:
            with self._changed:
                self._is_busy = False
                while not self._tasks and not self._is_closed:
                    self._changed.wait()
                if self._is_closed:
                    break
                self._is_busy = True
                self._end_late()
                tasks = list(self._tasks)
                lengths = [[len(task.texts[text]) for text in task.waiting] for task in tasks]
                chosen = [(tasks[request], tasks[request].waiting[text]) for request, text in window(lengths)]
            self._compute(chosen)
        error = UnavailableError("the model was unloaded before the request finished", hint="try again later")
        with self._changed:
            ended = list(self._tasks)
            for task in ended:
                self._end(task, FinishReason.ERROR)
        for task in ended:
            task.sink(error)

    def _end_late(self) -> None:
        """Fail the requests whose deadline has passed. The caller holds the lock."""
        now = time.monotonic()
        for task in [task for task in self._tasks if task.deadline <= now]:
            self._end(task, FinishReason.DEADLINE)
            task.sink(DeadlineError("the request's deadline passed"))

    def _compute(self, chosen: Sequence[tuple[PoolingTask, int]]) -> None:
        texts = [task.texts[text] for task, text in chosen]
        for batch in batches([len(ids) for ids in texts]):
            parts = [chosen[index] for index in batch if not chosen[index][0].is_over]
            if parts:
                self._compute_batch(parts)

    def _compute_batch(self, parts: Sequence[tuple[PoolingTask, int]]) -> None:
        try:
            rows = self._rows(parts)
        except Exception as fault:  # noqa: BLE001 - errors of ONNX Runtime have no narrower base class
            _log.exception("a batch of texts failed")
            for task in {task for task, _ in parts}:
                self._finish(task, step_error(fault))
            return
        for row, (task, text) in zip(rows, parts, strict=True):
            if task.rows is None:
                task.rows = np.empty((len(task.texts), self._width), np.float32)
            task.rows[text] = row
            task.waiting.remove(text)
            if not task.waiting:
                self._finish(task, task.rows)

    def _rows(self, parts: Sequence[tuple[PoolingTask, int]]) -> Rows:
        texts = [task.texts[text] for task, text in parts]
        lengths = np.array([len(ids) for ids in texts], np.int32)
        padded = np.zeros((len(texts), int(lengths.max())), np.int64)
        for row, ids in enumerate(texts):
            padded[row, : len(ids)] = ids
        inputs = {"input_ids": padded, "lengths": lengths}
        if isinstance(self._task, Reranking):
            inputs["first_lengths"] = np.array([task.first_lengths[text] for task, text in parts], np.int32)
        (rows,) = self._session.run([self.output], inputs)
        with self._changed:
            self._steps += 1
            self._tokens += int(lengths.sum())
        return np.asarray(rows, np.float32)

    def _finish(self, task: PoolingTask, result: Rows | ApplianceError) -> None:
        with self._changed:
            if task.is_over:
                return
            self._end(task, FinishReason.ERROR if isinstance(result, ApplianceError) else FinishReason.STOP)
        task.sink(result)

    def _end(self, task: PoolingTask, reason: FinishReason) -> None:
        """Take a request from the queue. The caller holds the lock."""
        if not task.is_over:
            task.is_over = True
            self._tasks.remove(task)
            self._finished[reason] += 1


def _task(manifest: Manifest) -> Embedding | Reranking:
    """The manifest's task; raises UnsupportedError if it generates text."""
    return manifest.task if isinstance(manifest.task, Reranking) else manifest.embedding
