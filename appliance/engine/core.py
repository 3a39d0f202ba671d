"""The engine without its thread: plans a step, runs it, chooses tokens, ends sequences. One caller at a time.

A fault of a step ends the sequences in it. Faults in a row mean that the session cannot go on: the last is raised. A
lost device is raised at once: it fails every step from then on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection

from appliance.engine.events import FinishEvent, FinishReason
from appliance.engine.logits import Logits
from appliance.engine.runner import Runner
from appliance.engine.sampler import choose
from appliance.engine.scheduler import Prefill, Scheduler, Step
from appliance.engine.sequence import Sequence
from appliance.engine.slots import CacheOperation, Copy, Swap
from appliance.engine.stats import Counters
from appliance.engine.stream import Stream
from appliance.engine.structured_output import PARAM
from appliance.errors import ApplianceError, DeadlineError, DeviceLostError, EngineError, RequestError

MAX_FAULTS_IN_A_ROW = 3
_log = logging.getLogger(__name__)


class EngineCore:
    """Scheduler, runner and streams put together.

    Attributes:
        scheduler: see Scheduler.
        counters: see Counters.
    """

    def __init__(
        self,
        runner: Runner,
        scheduler: Scheduler,
        *,
        tokens: int,
        clock: Callable[[], float],
        on_finish: Callable[[str], None],
    ) -> None:
        """Put an engine together.

        Args:
            runner: has at least `scheduler.limits.slots` slots.
            scheduler: an empty one.
            tokens: logits at or beyond this column are never looked at.
            clock: seconds, monotonic.
            on_finish: told a request's id just before its sink gets the last event.
        """
        self.scheduler = scheduler
        self.counters = Counters(clock())
        self._runner = runner
        self._tokens = tokens
        self._clock = clock
        self._on_finish = on_finish
        self._streams: dict[Sequence, Stream] = {}
        self._faults = 0

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits or runs."""
        return not self._streams

    def add(self, stream: Stream) -> None:
        """Queue a request."""
        self._streams[stream.sequence] = stream
        self.scheduler.add(stream.sequence)

    def sweep(self, cancelled: Collection[str]) -> None:
        """End the requests that were cancelled, whose sink failed, or whose deadline has passed."""
        now = self._clock()
        for sequence, stream in tuple(self._streams.items()):
            if stream.is_deaf or sequence.request.request_id in cancelled:
                self._finish(stream, FinishReason.CANCELLED)
        for sequence in self.scheduler.expired(now):
            error = DeadlineError("the request's deadline passed before it finished")
            self._finish(self._streams[sequence], FinishReason.DEADLINE, error)

    def step(self) -> None:
        """Plan one step, run it, choose tokens, tell the sinks.

        Raises:
            EngineError: the runner cannot go on.
        """
        step = self.scheduler.schedule(self._clock())
        if step is None:
            return
        for operation in self.scheduler.slots.take_operations():
            self._apply(operation)
        try:
            self._advance(step)
        except EngineError as fault:
            self._fail(step, fault)

    def end_all(self, error: ApplianceError) -> None:
        """End every request with an error. The runner is not touched: it may be the cause."""
        for stream in tuple(self._streams.values()):
            del self._streams[stream.sequence]
            self._report_finish(stream, FinishReason.ERROR, error)

    def _advance(self, step: Step) -> None:
        if isinstance(step, Prefill):
            tokens = step.sequence.tokens[step.start : step.start + step.length]
            logits = self._runner.prefill(step.slot, step.start, tokens)
        else:
            tokens = [sequence.tokens[sequence.rows] for sequence in step.sequences]
            logits = self._runner.decode(tokens, [sequence.rows for sequence in step.sequences])
        self.scheduler.advance(step)
        rows = [row for row, sequence in enumerate(step.sequences) if sequence.awaits_token]
        streams = [self._streams[step.sequences[row]] for row in rows]
        self.counters.count_step(self._clock(), len(streams))
        if streams:
            self._choose(streams, logits, rows)
        self._faults = 0

    def _choose(self, streams: list[Stream], logits: Logits, rows: list[int]) -> None:
        choices = choose(logits, rows, [stream.sampler for stream in streams], self._tokens)
        now = self._clock()
        for stream, choice in zip(streams, choices, strict=True):
            if choice.token is None:
                self._finish(stream, FinishReason.ERROR, _no_choice(stream))
                continue
            reason = stream.accept(choice.token, choice.logprob, now)
            if reason is not None:
                self._finish(stream, reason, _no_choice(stream) if reason is FinishReason.ERROR else None)

    def _fail(self, step: Step, fault: EngineError) -> None:
        _log.error("a step of %d sequences failed: %s", len(step.sequences), fault)
        for sequence in step.sequences:
            self._finish(self._streams[sequence], FinishReason.ERROR, fault)
        self._faults += 1
        if self._faults >= MAX_FAULTS_IN_A_ROW or isinstance(fault, DeviceLostError):
            raise fault

    def _finish(self, stream: Stream, reason: FinishReason, error: ApplianceError | None = None) -> None:
        """Take a request out. After an error its rows are not trusted for later prompts."""
        del self._streams[stream.sequence]
        self.scheduler.finish(stream.sequence, keep=reason is not FinishReason.ERROR)
        self._report_finish(stream, reason, error)

    def _report_finish(self, stream: Stream, reason: FinishReason, error: ApplianceError | None) -> None:
        usage = stream.sequence.usage(self._clock())
        self.counters.count_finish(reason, usage)
        self._on_finish(stream.sequence.request.request_id)
        stop_reason = stream.stop_reason if reason is FinishReason.STOP else None
        stream.finish(FinishEvent(reason, usage, error, stop_reason))

    def _apply(self, operation: CacheOperation) -> None:
        if isinstance(operation, Copy):
            self._runner.copy(operation.source, operation.target, operation.rows)
        elif isinstance(operation, Swap):
            self._runner.swap(operation.first, operation.first_rows, operation.second, operation.second_rows)
        else:
            self._runner.release(operation.slot, operation.keep_rows)


def _no_choice(stream: Stream) -> ApplianceError:
    """Why no token could be chosen, or not the one that was."""
    matcher = stream.sampler.matcher
    if matcher is not None and matcher.error:
        return RequestError(f"{PARAM} cannot be honoured any further: {matcher.error}", hint="simplify it", param=PARAM)
    return EngineError("the graph computed no usable logits", hint="verify or export the model again")
