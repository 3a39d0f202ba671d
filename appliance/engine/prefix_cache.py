"""Finds keys and values that a new prompt can share. It compares tokens, not digests, and never across salts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from appliance.engine.exactness import LEAST_CHUNK, align_down
from appliance.engine.sequence import Sequence

MIN_SHARED_ROWS = 16


@dataclass(frozen=True)
class SharedPrefix:
    """`rows` first tokens of a new prompt have keys and values in the slot of `donor`."""

    donor: Sequence
    rows: int


def find_shared_prefix(sequence: Sequence, held: Iterable[Sequence]) -> SharedPrefix | None:
    """Return the longest prefix that a sequence in some slot shares with this one, if it is worth taking.

    Only sequences of the same salt are looked at: neither a hit nor its timing tells one principal what another has
    asked, and no adapter gets keys and values of other weights. With a few dozen slots, comparing the tokens themselves
    costs microseconds and can mistake nothing. The last tokens are always computed anew: the last one's logits are
    needed. Rows of a completion are not shared, see exactness.py.
    """
    best: SharedPrefix | None = None
    for donor in held:
        if donor.request.prefix_salt != sequence.request.prefix_salt:
            continue
        usable = min(donor.rows, donor.prompt_tokens, sequence.prompt_tokens - LEAST_CHUNK)
        if usable >= MIN_SHARED_ROWS and (best is None or usable > best.rows):
            rows = align_down(common_prefix(donor.tokens, sequence.tokens, usable))
            if rows >= MIN_SHARED_ROWS and (best is None or rows > best.rows):
                best = SharedPrefix(donor, rows)
    return best


def common_prefix(first: list[int], second: list[int], limit: int) -> int:
    """Length of the common beginning of two lists, at most `limit`, found by halving slices (compared in C)."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
