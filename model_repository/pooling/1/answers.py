"""Sends rows of numbers to Triton from a separate thread, so that the engine's thread never waits for Triton.

The same thread checks whether clients have cancelled: Triton crashes if a thread checks a request for cancellation
after another thread has sent its last response.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import triton_python_backend_utils as pb_utils

from appliance.engine.pooling_engine import PoolingEngine, PoolingTask, Rows
from appliance.errors import ApplianceError
from appliance.inference import error_text

_FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
_POLL_S = 0.05


@dataclass(frozen=True)
class Question:
    """What a request asks; see `PoolingTask`."""

    texts: Sequence[Sequence[int]]
    first_lengths: Sequence[int]
    timeout_s: float


@dataclass(eq=False)
class _Answer:
    """A request that has no response yet; `task` is None until the engine has accepted it."""

    sender: Any
    task: PoolingTask | None = None


class Answers:
    """See the module."""

    def __init__(self, output: str, cancel: Callable[[PoolingTask], None]) -> None:
        """`output` is the name of the tensor with the rows; `cancel` ends a request whose client has left."""
        self._output = output
        self._cancel = cancel
        self._results: queue.SimpleQueue[tuple[_Answer, Rows | ApplianceError] | None] = queue.SimpleQueue()
        self._open: set[_Answer] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)
        self._thread.start()

    def submit(self, engine: PoolingEngine, asked: Question, sender: Any) -> None:
        """Let the engine compute the texts, and send the result when it is there."""
        answer = _Answer(sender)
        with self._lock:
            self._open.add(answer)
        try:
            answer.task = engine.submit(
                asked.texts, asked.timeout_s, lambda result: self._results.put((answer, result)), asked.first_lengths
            )
        except ApplianceError as error:
            self._results.put((answer, error))

    def close(self) -> None:
        """Send what is left, and end the thread."""
        self._results.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                found = self._results.get(timeout=_POLL_S)
            except queue.Empty:
                self._end_cancelled()
                continue
            if found is None:
                return
            self._send(*found)

    def _end_cancelled(self) -> None:
        with self._lock:
            waiting = [(answer, answer.task) for answer in self._open]
        for answer, task in waiting:
            if task is not None and answer.sender.is_cancelled():
                # The engine calls no sink after this. A result that was queued before is sent, and nobody reads it.
                self._cancel(task)
                if task.is_over and self._forget(answer):
                    answer.sender.send(flags=_FINAL)

    def _send(self, answer: _Answer, result: Rows | ApplianceError) -> None:
        if not self._forget(answer):
            return
        if isinstance(result, ApplianceError):
            response = pb_utils.InferenceResponse(error=pb_utils.TritonError(error_text.write(result)))
        else:
            response = pb_utils.InferenceResponse([pb_utils.Tensor(self._output, result.reshape(-1))])
        answer.sender.send(response, flags=_FINAL)

    def _forget(self, answer: _Answer) -> bool:
        """Whether the request had no response yet."""
        with self._lock:
            was_open = answer in self._open
            self._open.discard(answer)
            return was_open
