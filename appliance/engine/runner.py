"""The interface between the engine and the runtime that computes the graph, on the CPU or on a device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from appliance.engine.logits import Logits

# Limits of `ExactRunner.verify`: tokens that may follow the next token of a slot, and rows of all slots together.
MAX_DRAFT_TOKENS = 5
MAX_VERIFIED_ROWS = 32
# Limit of `ScoringRunner.score`. A row of logits has up to a megabyte; a chunk of fewer rows reads all weights again.
MAX_SCORED_ROWS = 64


class Runner(Protocol):
    """Computes logits and keeps the keys and values of every slot, in main memory or on a device.

    Every method may raise EngineError; then the content of the rows to write is undefined. Logits are valid until the
    next call.
    """

    @property
    def exact(self) -> ExactRunner | None:
        """The same runner if its rows are exact, else None. See exactness.py."""

    @property
    def scorer(self) -> ScoringRunner | None:
        """The same runner if it can return the logits of all tokens of a prompt, else None."""

    def prefill(self, slot: int, start: int, tokens: Sequence[int]) -> Logits:
        """Compute the rows of one slot from `start` for `tokens`; return the last token's logits: one row."""

    def decode(self, tokens: Sequence[int], lengths: Sequence[int]) -> Logits:
        """Compute one row of each of the first slots; return one row of logits for each.

        Args:
            tokens: element i is the next token of slot i.
            lengths: element i is the number of rows in slot i before this step.
        """

    def copy(self, source: int, target: int, rows: int) -> None:
        """Copy the first `rows` rows of slot `source` to slot `target`."""

    def swap(self, first: int, first_rows: int, second: int, second_rows: int) -> None:
        """Exchange the first `first_rows` rows of slot `first` and the first `second_rows` rows of slot `second`."""

    def release(self, slot: int, keep_rows: int) -> None:
        """Free the memory of a slot's rows from `keep_rows`."""


class ScoringRunner(Runner, Protocol):
    """A runner that can return the logits of all tokens of a prompt."""

    def score(self, slot: int, start: int, tokens: Sequence[int]) -> Logits:
        """Compute rows as `prefill` does; return a row of logits for each token: at most MAX_SCORED_ROWS.

        A row has the same bits in any chunk. The last row may differ in rounding from that of `prefill`.
        """


class ExactRunner(Runner, Protocol):
    """A runner whose rows have the same bits in any chunk and any batch, as rows of a prompt and of a completion."""

    def verify(self, tokens: Sequence[Sequence[int]], lengths: Sequence[int]) -> Logits:
        """Compute several rows of each of the first slots; return a row of logits for each token, slot after slot.

        Rows behind those of `tokens` may be overwritten in every slot.

        Args:
            tokens: element i has the next tokens of slot i: at least 1 and at most 1 + MAX_DRAFT_TOKENS. The number of
                slots times the greatest number of tokens is at most MAX_VERIFIED_ROWS.
            lengths: element i is the number of rows in slot i before this step.
        """
