"""The engine's state and counters: a snapshot for status pages and metrics, and the counters that it is made of."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

from appliance.inference.events import FinishReason, Usage

RATE_WINDOW_S = 10.0


@dataclass(frozen=True)
class EngineStats:
    """A snapshot of the engine.

    Attributes:
        accepts_requests: False while the engine closes and after a fault has ended it.
        slots: number of sequences that may run at the same time.
        slots_busy: number of sequences that run now.
        queue_length: number of requests that wait for a slot.
        cache_tokens_used: tokens whose keys and values are in the cache, of running sequences and cached prefixes.
        cache_tokens_total: maximum number of tokens in the cache.
        max_context_tokens: maximum tokens of prompt plus completion.
        prompt_tokens_total: prompt tokens of finished requests.
        completion_tokens_total: generated tokens.
        cached_tokens_total: prompt tokens of finished requests that the prefix cache saved.
        steps_total: runs of the graph.
        draft_tokens_total: tokens of drafts that steps verified.
        accepted_draft_tokens_total: those that were right, each generated without a step of its own.
        preemptions_total: preemptions because the cache was full.
        requests_total: finished requests by reason.
        tokens_per_second: generated tokens per second over the last 10 s.
        files_changed: number of the artefact's files that differ from its manifest.
        rss_bytes: resident memory of this process.
    """

    accepts_requests: bool
    slots: int
    slots_busy: int
    queue_length: int
    cache_tokens_used: int
    cache_tokens_total: int
    max_context_tokens: int
    prompt_tokens_total: int
    completion_tokens_total: int
    cached_tokens_total: int
    steps_total: int
    draft_tokens_total: int
    accepted_draft_tokens_total: int
    preemptions_total: int
    requests_total: Mapping[FinishReason, int]
    tokens_per_second: float
    files_changed: int
    rss_bytes: int


class Counters:
    """Totals since the engine started, and the completion rate of the last 10 s."""

    def __init__(self, now: float) -> None:
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self.cached_tokens = 0
        self.steps = 0
        self.draft_tokens = 0
        self.accepted_draft_tokens = 0
        self.finished: Counter[FinishReason] = Counter()
        self._started = now
        self._recent: deque[tuple[float, int]] = deque()

    def count_tokens(self, now: float, new_tokens: int) -> None:
        """Count completion tokens that a step generated."""
        self.completion_tokens += new_tokens
        self._recent.append((now, new_tokens))
        while self._recent[0][0] < now - RATE_WINDOW_S:
            self._recent.popleft()

    def count_finish(self, reason: FinishReason, usage: Usage) -> None:
        """Count an ended request."""
        self.finished[reason] += 1
        self.prompt_tokens += usage.prompt_tokens
        self.cached_tokens += usage.cached_tokens

    def tokens_per_second(self, now: float) -> float:
        """Completion tokens per second over the last 10 s, or since the start if that is shorter."""
        recent = sum(count for at, count in tuple(self._recent) if at >= now - RATE_WINDOW_S)
        return recent / max(min(RATE_WINDOW_S, now - self._started), 1e-3)
