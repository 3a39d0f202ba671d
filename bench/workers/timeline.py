"""The arrival times of a completion's tokens, and the rates computed from them."""

from __future__ import annotations

from collections.abc import Sequence

# (seconds since the completions were requested, number of tokens that arrived), in order.
Timeline = list[tuple[float, float]]


def steady_rate(timelines: Sequence[Timeline]) -> float | None:
    """Tokens/s while all streams decode: from the latest first token to the earliest last token.

    This excludes prefills and steps with fewer streams. None if there is no such time.
    """
    begin = max(timeline[0][0] for timeline in timelines)
    end = min(timeline[-1][0] for timeline in timelines)
    if end <= begin:
        return None
    tokens = sum(count for timeline in timelines for at, count in timeline if begin < at <= end)
    return tokens / (end - begin)


def decode_rate(timelines: Sequence[Timeline]) -> float | None:
    """Tokens/s after the first token, over completions that ran one after another. None if all had one token."""
    tokens = sum(count for timeline in timelines for _, count in timeline[1:])
    seconds = sum(timeline[-1][0] - timeline[0][0] for timeline in timelines)
    return tokens / seconds if seconds else None


def first_token_s(timeline: Timeline) -> float:
    """Seconds until the first token."""
    return timeline[0][0]


def spread_tokens(arrivals: Sequence[float], tokens: int) -> Timeline:
    """A timeline from arrivals without token counts: all arrivals get the same share of the tokens."""
    return [(at, tokens / len(arrivals)) for at in arrivals]
