"""One request's progress: its tokens, the cache rows they have, and when things happened. It decides nothing."""

from __future__ import annotations

import enum

from appliance.engine.request import Request
from appliance.inference.events import Usage


class Status(enum.Enum):
    """Where a sequence stands."""

    WAITING = "waiting"
    PREFILL = "prefill"
    DECODE = "decode"
    HELD = "held"  # its prompt is computed, and its next token is chosen but not certain yet
    FINISHED = "finished"


class Sequence:
    """A request while it waits, runs, and afterwards lies in its slot as a cached prefix.

    Attributes:
        request: what was asked.
        order: position among all requests; less is older.
        tokens: prompt and completion so far.
        max_tokens: completion tokens at most.
        status: see Status.
        slot: where its keys and values are; None while it has none.
        rows: how many of its first tokens have keys and values in the slot.
        reserved_rows: rows of the slot that are set aside for it.
        last_used: the slot table's clock when its rows last served; less is longer ago.
        cached_tokens: prompt tokens that the prefix cache saved at the first admission.
    """

    def __init__(self, request: Request, *, order: int, max_tokens: int, now: float) -> None:
        self.request = request
        self.order = order
        self.tokens = list(request.prompt_ids)
        self.max_tokens = max_tokens
        self.status = Status.WAITING
        self.slot: int | None = None
        self.rows = 0
        self.reserved_rows = 0
        self.last_used = 0
        self.cached_tokens: int | None = None
        self._submitted_at = now
        self._admitted_at: float | None = None
        self._first_token_at: float | None = None

    @property
    def principal(self) -> str:
        """Who asked."""
        return self.request.principal

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the prompt."""
        return len(self.request.prompt_ids)

    @property
    def completion_tokens(self) -> int:
        """Tokens generated so far."""
        return len(self.tokens) - self.prompt_tokens

    @property
    def missing_prompt_rows(self) -> int:
        """Prompt tokens whose keys and values are still to be computed."""
        return self.prompt_tokens - self.rows

    @property
    def awaits_token(self) -> bool:
        """Whether every token has been computed, so that the next one can be chosen."""
        return self.rows == len(self.tokens)

    @property
    def limit_rows(self) -> int:
        """Rows it can ever need: the last token of a completion is never fed back."""
        return self.prompt_tokens + self.max_tokens - 1

    def admit(self, now: float) -> None:
        """It got its place among the running ones (perhaps again, after it was set back)."""
        self.status = Status.PREFILL
        self._admitted_at = now if self._admitted_at is None else self._admitted_at

    def append(self, token: int, now: float) -> None:
        """A token of the completion was chosen."""
        self.tokens.append(token)
        self._first_token_at = now if self._first_token_at is None else self._first_token_at

    def usage(self, now: float) -> Usage:
        """What it cost until now."""
        admitted = now if self._admitted_at is None else self._admitted_at
        first = now if self._first_token_at is None else self._first_token_at
        return Usage(
            prompt_tokens=self.prompt_tokens,
            cached_tokens=self.cached_tokens or 0,
            completion_tokens=self.completion_tokens,
            queue_s=admitted - self._submitted_at,
            prefill_s=first - admitted,
            decode_s=now - first,
        )
