"""The engine without its thread: plans a step, runs it, chooses tokens, ends sequences. One caller at a time.

A fault in a step ends the sequences of this step. After several consecutive faults the session cannot continue: the
last fault is raised. A lost device is raised immediately, because every later step would fail.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import wait

from appliance.engine.constraint import Constraint
from appliance.engine.exactness import LEAST_CHUNK, align_down
from appliance.engine.logits import Logits
from appliance.engine.preparation import Preparation
from appliance.engine.runner import Runner
from appliance.engine.sampler import Choice, choose
from appliance.engine.scheduler import Prefill, Scheduler, Step
from appliance.engine.scoring import prompt_logprobs
from appliance.engine.sequence import Sequence, Status
from appliance.engine.slots import CacheOperation, Copy, Swap
from appliance.engine.stats import Counters
from appliance.engine.stream import Stream
from appliance.errors import ApplianceError, DeadlineError, DeviceLostError, EngineError
from appliance.inference.events import FinishEvent, FinishReason

MAX_FAULTS_IN_A_ROW = 3
# Most grammars answer within a tenth of this time. A sequence whose grammar takes longer skips the next step.
_GRAMMAR_S = 0.005
# While the engine waits for grammars, it handles new requests and cancellations at this interval.
_IDLE_S = 0.02
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Row:
    """A row of logits from which a sequence's next token is chosen.

    Attributes:
        sequence: the sequence.
        index: index of the row in the step's logits.
        draft: the draft of the tokens from this row; the next rows belong to them.
    """

    sequence: Sequence
    index: int
    draft: tuple[int, ...]


class EngineCore:
    """Combines scheduler, runner and streams.

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
        allowance: Callable[[], int] | None = None,
        speculation: bool = False,
    ) -> None:
        """Combine the parts.

        Args:
            runner: has at least `scheduler.limits.slots` slots.
            scheduler: an empty scheduler.
            tokens: logits at or beyond this column are ignored.
            clock: returns monotonic seconds.
            on_finish: called with a request's id immediately before its sink gets the last event.
            allowance: called before each step, returns how many sequences may run; None allows all slots.
            speculation: whether to verify drafts if the runner is exact.
        """
        self.scheduler = scheduler
        self.counters = Counters(clock())
        self._runner = runner
        self._verifier = runner.exact if speculation else None
        self._scorer = runner.scorer
        self._tokens = tokens
        self._clock = clock
        self._on_finish = on_finish
        self._allowance = allowance or (lambda: scheduler.limits.max_running)
        self._streams: dict[Sequence, Stream] = {}
        self._preparation = Preparation(scheduler.limits.max_running)
        # Chosen tokens whose grammars have not answered yet.
        self._chosen: dict[Sequence, Choice] = {}
        self._faults = 0

    @property
    def is_idle(self) -> bool:
        """Whether no sequence waits or runs."""
        return not self._streams

    @property
    def queue_length(self) -> int:
        """Number of sequences that wait for a slot or for their grammar."""
        return self.scheduler.queue_length + len(self._preparation)

    def add(self, stream: Stream) -> None:
        """Queue a request."""
        self._streams[stream.sequence] = stream
        if stream.sampler.matcher is None:
            if self._verifier is not None:
                stream.sequence.use_drafts()
            self.scheduler.add(stream.sequence)
        else:
            self._preparation.add(stream.sequence, stream.sampler.matcher)

    def sweep(self, cancelled: Collection[str]) -> None:
        """End the requests that were cancelled, whose sink failed, or whose deadline has passed."""
        now = self._clock()
        for sequence, stream in tuple(self._streams.items()):
            deadline = sequence.request.deadline
            if stream.is_deaf or sequence.request.request_id in cancelled:
                self._finish(stream, FinishReason.CANCELLED)
            elif deadline is not None and deadline <= now:
                error = DeadlineError("the request's deadline passed before it finished")
                self._finish(stream, FinishReason.DEADLINE, error)

    def step(self) -> None:
        """Plan one step, run it, choose tokens, and send events to the sinks.

        Raises:
            EngineError: the runner cannot continue.
        """
        self._take_answers()
        if self._is_held_up:
            _wait([*self._preparation.compiling, *self._waited_for], _IDLE_S)
            return
        step = self.scheduler.schedule(self._clock(), self._allowance())
        if step is None:
            return
        for operation in self.scheduler.slots.take_operations():
            self._apply(operation)
        try:
            self._advance(step)
        except EngineError as fault:
            self._fail(step, fault)

    def end_all(self, error: ApplianceError) -> None:
        """End every request with an error. Do not use the runner: it may be the cause."""
        for stream in tuple(self._streams.values()):
            del self._streams[stream.sequence]
            self._preparation.end(stream.sequence)
            self._report_finish(stream, FinishReason.ERROR, error)

    def _advance(self, step: Step) -> None:
        is_sound = not isinstance(step, Prefill) or not step.is_scored or self._score(step)
        logits = self._compute(step)
        self.counters.steps += 1
        self.scheduler.advance(step)
        if isinstance(step, Prefill):
            if not is_sound:
                self._finish(self._streams[step.sequence], FinishReason.ERROR, _invalid_logits())
            elif step.sequence.awaits_token and step.sequence.max_tokens == 0:
                self._finish(self._streams[step.sequence], FinishReason.LENGTH)
        awaiting = [sequence for sequence in step.sequences if sequence.awaits_token and sequence in self._streams]
        rows = [row for row in _first_rows(step) if row.sequence in awaiting and row.sequence not in self._chosen]
        while rows and logits is not None:
            self.counters.count_tokens(self._clock(), len(rows))
            rows = self._choose(rows, logits)
        for sequence in awaiting:
            if sequence in self._chosen and not self._accept_if_certain(sequence):
                self.scheduler.hold(step, sequence)
        self._faults = 0

    def _score(self, step: Prefill) -> bool:
        """Compute a chunk, and send the log-probabilities of its tokens. Return False if its logits are not finite."""
        sequence, wanted = step.sequence, step.sequence.request.sampling.prompt_logprobs
        if self._scorer is None or wanted is None:
            raise EngineError("the runner cannot return the logits of a prompt's tokens")
        tokens = sequence.tokens
        logits = self._scorer.score(step.slot, step.start, tokens[step.start : step.start + step.length])
        # After a preemption, the first rows may have been scored already.
        first, end = sequence.scored, min(step.start + step.length, sequence.rows_to_score)
        if first >= end:
            return True
        rows = range(first - step.start, end - step.start)
        found = prompt_logprobs(logits, rows, tokens[first + 1 : end + 1], wanted, self._tokens)
        if found is None:
            return False
        self._streams[sequence].score(found)
        return True

    def _compute(self, step: Step) -> Logits | None:
        """The logits from which the step's tokens are chosen; None if it chooses no token."""
        if isinstance(step, Prefill):
            start, end = step.start, step.start + step.length
            if step.is_scored:
                if end < step.sequence.prompt_tokens or step.sequence.max_tokens == 0:
                    return None
                # The rows are computed. The end is computed again, for a last row of logits that has the same bits as
                # without scoring.
                start = max(start, align_down(end - LEAST_CHUNK))
            return self._runner.prefill(step.slot, start, step.sequence.tokens[start:end])
        last = [sequence.tokens[sequence.rows] for sequence in step.sequences]
        lengths = [sequence.rows for sequence in step.sequences]
        if self._verifier is None or not any(step.drafts):
            return self._runner.decode(last, lengths)
        logits = self._verifier.verify(
            [(token, *draft) for token, draft in zip(last, step.drafts, strict=True)], lengths
        )
        for sequence, draft in zip(step.sequences, step.drafts, strict=True):
            sequence.draft_tokens += len(draft)
            self.counters.draft_tokens += len(draft)
        return logits

    def _choose(self, rows: list[_Row], logits: Logits) -> list[_Row]:
        """Choose a token for each row. Sequences without a grammar accept it immediately.

        Returns:
            The next row of each sequence whose draft has the chosen token. Its tokens are chosen one after the other,
            because each changes the state of the sampler.
        """
        streams = [self._streams[row.sequence] for row in rows]
        choices = choose(logits, [row.index for row in rows], [stream.sampler for stream in streams], self._tokens)
        asked: list[Constraint] = []
        verified: list[_Row] = []
        for row, stream, choice in zip(rows, streams, choices, strict=True):
            if choice.token is None:
                self._finish(stream, FinishReason.ERROR, _invalid_logits())
                continue
            self._chosen[stream.sequence] = choice
            is_right = row.draft[:1] == (choice.token,)
            if is_right:
                row.sequence.accepted_draft_tokens += 1
                self.counters.accepted_draft_tokens += 1
            if stream.sampler.matcher is None:
                self._accept_if_certain(stream.sequence)
                if is_right and stream.sequence in self._streams:
                    self.scheduler.accept_draft(stream.sequence)
                    verified.append(_Row(row.sequence, row.index + 1, row.draft[1:]))
            else:
                stream.sampler.matcher.accept(choice.token)
                asked.append(stream.sampler.matcher)
        _wait_for_all(asked, _GRAMMAR_S)
        return verified

    def _accept_if_certain(self, sequence: Sequence) -> bool:
        """Pass the chosen token to the stream, unless its grammar has not answered yet."""
        stream, choice = self._streams[sequence], self._chosen[sequence]
        matcher = stream.sampler.matcher
        if choice.token is None or (matcher is not None and not matcher.is_ready):
            return False
        del self._chosen[sequence]
        reason = stream.accept(choice.token, choice.logprob, self._clock())
        if reason is not None:
            error = matcher.error if matcher is not None and reason is FinishReason.ERROR else None
            self._finish(stream, reason, error)
        return True

    def _take_answers(self) -> None:
        """Resume the sequences whose grammars have answered since the last step."""
        for sequence in self._preparation.take_ready():
            stream = self._streams[sequence]
            matcher = stream.sampler.matcher
            # Also add a failed sequence to the scheduler, so that all sequences end in the same way.
            self.scheduler.add(sequence)
            if matcher is not None and matcher.error is not None:
                self._finish(stream, FinishReason.ERROR, matcher.error)
        for sequence in tuple(self._chosen):
            matcher = self._streams[sequence].sampler.matcher
            if matcher is not None and matcher.is_ready:
                self.scheduler.resume(sequence)
                self._accept_if_certain(sequence)

    @property
    def _is_held_up(self) -> bool:
        """Whether no step can run until a grammar answers."""
        running = self.scheduler.running
        if not self.scheduler.queue_length or len(running) >= self.scheduler.limits.max_running:
            return bool(self._streams) and all(sequence in self._chosen for sequence in running)
        return False

    @property
    def _waited_for(self) -> list[Constraint]:
        matchers = [self._streams[sequence].sampler.matcher for sequence in self._chosen]
        return [matcher for matcher in matchers if matcher is not None]

    def _fail(self, step: Step, fault: EngineError) -> None:
        _log.error("a step of %d sequences failed: %s", len(step.sequences), fault)
        for sequence in step.sequences:
            if sequence in self._streams:
                self._finish(self._streams[sequence], FinishReason.ERROR, fault)
        self._faults += 1
        if self._faults >= MAX_FAULTS_IN_A_ROW or isinstance(fault, DeviceLostError):
            raise fault

    def _finish(self, stream: Stream, reason: FinishReason, error: ApplianceError | None = None) -> None:
        """Remove a request. After an error, its rows are not kept for later prompts."""
        sequence = stream.sequence
        del self._streams[sequence]
        self._chosen.pop(sequence, None)
        sequence.drop_drafts()
        if sequence in self._preparation:
            sequence.status = Status.FINISHED
        else:
            self.scheduler.finish(sequence, keep=reason is not FinishReason.ERROR)
        self._preparation.end(sequence)
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


def _invalid_logits() -> EngineError:
    return EngineError("the graph computed invalid logits", hint="verify or export the model again")


def _first_rows(step: Step) -> Iterator[_Row]:
    """The first row of logits of each sequence of a step."""
    drafts = ((),) if isinstance(step, Prefill) else step.drafts
    index = 0
    for sequence, draft in zip(step.sequences, drafts, strict=True):
        yield _Row(sequence, index, draft)
        index += 1 + len(draft)


def _wait_for_all(asked: Iterable[Constraint], seconds: float) -> None:
    """Wait until all constraints have answered, for at most `seconds`."""
    end = time.monotonic() + seconds
    while late := [matcher for matcher in asked if not matcher.is_ready]:
        left = end - time.monotonic()
        if left <= 0:
            return
        _wait(late, left)


def _wait(constraints: Iterable[Constraint], seconds: float) -> None:
    """Wait until one constraint has answered, for at most `seconds`."""
    wait([constraint.fileno() for constraint in constraints], seconds)
