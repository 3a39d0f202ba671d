"""Finds cached keys and values for a new prompt. Compares tokens, not digests, and only within one salt."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from appliance.engine.exactness import LEAST_CHUNK, align_down
from appliance.engine.sequence import Sequence

MIN_SHARED_ROWS = 16


@dataclass(frozen=True)
class SharedPrefix:
    """The first `rows` tokens of a new prompt have keys and values in the slot of `donor`."""

    donor: Sequence
    rows: int


def find_shared_prefix(sequence: Sequence, held: Iterable[Sequence], *, with_completions: bool) -> SharedPrefix | None:
    """Return the longest prefix that this sequence shares with a sequence in a slot, if it is long enough to use.

    Only sequences with the same salt are compared. So neither a hit nor its timing shows a principal what another
    principal asked, and no adapter gets keys and values of other weights. With a few dozen slots, comparing the tokens
    takes microseconds and is exact. The last tokens of a prompt are always computed again, because the last token's
    logits are needed; so are tokens whose logits the request asks for. Rows of a completion are shared only
    `with_completions`: see exactness.py.
    """
    best: SharedPrefix | None = None
    for donor in held:
        if donor.request.prefix_salt != sequence.request.prefix_salt:
            continue
        shareable = donor.rows if with_completions else min(donor.rows, donor.prompt_tokens)
        usable = min(shareable, sequence.prompt_tokens - LEAST_CHUNK, sequence.skippable_rows)
        if usable >= MIN_SHARED_ROWS and (best is None or usable > best.rows):
            rows = align_down(common_prefix(donor.tokens, sequence.tokens, usable))
            if rows >= MIN_SHARED_ROWS and (best is None or rows > best.rows):
                best = SharedPrefix(donor, rows)
    return best


def common_prefix(first: list[int], second: list[int], limit: int) -> int:
    """Length of the common prefix of two lists, at most `limit`: a binary search over slices (compared in C)."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
