"""Sends responses to Triton from a separate thread, so that the engine's thread never waits for Triton.

The thread also checks whether clients have cancelled. It never drops the last response of a request.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import triton_python_backend_utils as pb_utils
import wire

from appliance.errors import ApplianceError
from appliance.inference.events import Event, FinishEvent, FinishReason, PromptEvent

_FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
# Interval of the cancellation checks for requests without new responses (queued, in prefill, not streaming).
_IDLE_POLL_S = 0.05
# A message about a request: an event of the engine, or the error with which the engine rejected the request.
Said = Event | ApplianceError


@dataclass
class Answer:
    """The responses of one request."""

    request_id: str
    sender: Any
    answer_format: wire.AnswerFormat
    state: wire.AnswerState
    piece: wire.Piece = field(default_factory=wire.Piece)
    polled_at: float = 0.0
    is_cancelled: bool = False


class Sender:
    """A thread that passes the engine's events to Triton's response senders."""

    def __init__(self, cancel: Callable[[str], None]) -> None:
        self._cancel = cancel
        self._events: queue.SimpleQueue[tuple[Answer, Said] | None] = queue.SimpleQueue()
        self._open: dict[str, Answer] = {}
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)
        self._thread.start()

    def open(self, answer: Answer) -> Callable[[Event], None]:
        """Return the sink for the engine. The sink only queues events."""
        self._open[answer.request_id] = answer
        return lambda event: self._events.put((answer, event))

    def refuse(self, answer: Answer, error: ApplianceError) -> None:
        """End an opened answer whose request the engine rejected.

        The sender's thread also sends this last response: Triton crashes if a thread checks a request for cancellation
        after another thread has sent its last response.
        """
        self._events.put((answer, error))

    def close(self) -> None:
        """Send all queued responses, then end the thread."""
        self._events.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            batch = self._next_batch()
            if None in batch:
                self._send([item for item in batch if item is not None])
                return
            self._send([item for item in batch if item is not None])
            self._poll_idle()

    def _next_batch(self) -> list[tuple[Answer, Said] | None]:
        """All queued events, so that the tokens of several steps can be sent in one response."""
        batch: list[tuple[Answer, Said] | None] = []
        try:
            batch.append(self._events.get(timeout=_IDLE_POLL_S))
            while True:
                batch.append(self._events.get_nowait())
        except queue.Empty:
            # The wait timed out, or the queue is empty now.
            return batch

    def _send(self, batch: list[tuple[Answer, Said]]) -> None:
        touched: dict[str, Answer] = {}
        for answer, event in batch:
            if isinstance(event, ApplianceError):
                self._open.pop(answer.request_id, None)
                self._emit(answer, wire.error_response(event), _FINAL)
            elif isinstance(event, FinishEvent):
                touched.pop(answer.request_id, None)
                self._finish(answer, event)
            elif not isinstance(event, PromptEvent) or answer.answer_format.prompt_logprobs:
                answer.piece.add(event)
                if answer.answer_format.stream:
                    touched[answer.request_id] = answer
        for answer in touched.values():
            if not answer.is_cancelled:
                self._emit(answer, wire.response(answer.answer_format, answer.piece, answer.state, None), 0)
            answer.piece = wire.Piece()
            self._poll(answer)

    def _finish(self, answer: Answer, end: FinishEvent) -> None:
        self._open.pop(answer.request_id, None)
        error = wire.end_error(end)
        if answer.is_cancelled and end.reason is FinishReason.CANCELLED:
            last = wire.cancelled_response()
        elif error is not None:
            last = wire.error_response(error)
        else:
            last = wire.response(answer.answer_format, answer.piece, answer.state, end)
        self._emit(answer, last, _FINAL)

    def _emit(self, answer: Answer, response: Any, flags: int) -> None:
        try:
            answer.sender.send(response, flags=flags)
        except Exception as error:  # noqa: BLE001 - a fault of one client must not end all answers
            pb_utils.Logger.log_error(f"a response of {answer.request_id} could not be sent: {error}")
            self._cancel(answer.request_id)

    def _poll_idle(self) -> None:
        before = time.monotonic() - _IDLE_POLL_S
        for answer in list(self._open.values()):
            if answer.polled_at < before:
                self._poll(answer)

    def _poll(self, answer: Answer) -> None:
        answer.polled_at = time.monotonic()
        if not answer.is_cancelled and answer.sender.is_cancelled():
            answer.is_cancelled = True
            self._cancel(answer.request_id)
