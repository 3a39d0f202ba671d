"""When each token of a completion arrived, and what rates follow from that. Arithmetic only."""

from __future__ import annotations

from collections.abc import Sequence

# (seconds since the completions were asked for, tokens that arrived then), in order.
Timeline = list[tuple[float, float]]


def steady_rate(timelines: Sequence[Timeline]) -> float | None:
    """Tokens a second while all streams decode: after the last one's first token, up to the first one's last token.

    So no prefill is in it, and no step with fewer streams. None if there is no such time.
    """
    begin = max(timeline[0][0] for timeline in timelines)
    end = min(timeline[-1][0] for timeline in timelines)
    if end <= begin:
        return None
    tokens = sum(count for timeline in timelines for at, count in timeline if begin < at <= end)
    return tokens / (end - begin)


def first_token_s(timeline: Timeline) -> float:
    """Seconds until the first token."""
    return timeline[0][0]


def spread_tokens(arrivals: Sequence[float], tokens: int) -> Timeline:
    """A timeline from arrivals that do not say how many tokens each brought: every one counts the same."""
    return [(at, tokens / len(arrivals)) for at in arrivals]
