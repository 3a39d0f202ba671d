"""The progress of one request: its tokens, its cache rows and its times. This module decides nothing."""

from __future__ import annotations

import enum

from appliance.engine.drafts import Draft, Drafter
from appliance.engine.request import Request
from appliance.inference.events import Usage


class Status(enum.Enum):
    """The state of a sequence."""

    WAITING = "waiting"
    PREFILL = "prefill"
    DECODE = "decode"
    HELD = "held"  # its prompt is computed, and its next token is chosen, but the grammar has not answered yet
    FINISHED = "finished"


class Sequence:
    """A request while it waits, while it runs, and while its rows stay in a slot as a cached prefix.

    Attributes:
        request: the request.
        order: number in the order of arrival; a smaller number is older.
        tokens: prompt and completion so far.
        max_tokens: maximum number of completion tokens.
        status: see Status.
        slot: the slot with its keys and values; None without a slot.
        rows: number of its first tokens that have keys and values in the slot.
        reserved_rows: rows of the slot that are reserved for it.
        last_used: the slot table's clock when its rows were last used; smaller is longer ago.
        cached_tokens: prompt tokens that the prefix cache saved at the first admission.
        scored: number of its first rows whose logits need not be read any more.
        draft_tokens: tokens of its drafts that steps verified.
        accepted_draft_tokens: those that were right.
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
        self.scored = 0
        self.draft_tokens = 0
        self.accepted_draft_tokens = 0
        self._drafter: Drafter | None = None
        self._submitted_at = now
        self._admitted_at: float | None = None
        self._first_token_at: float | None = None

    @property
    def principal(self) -> str:
        """The principal of the request."""
        return self.request.principal

    @property
    def prompt_tokens(self) -> int:
        """Number of tokens of the prompt."""
        return len(self.request.prompt_ids)

    @property
    def completion_tokens(self) -> int:
        """Number of tokens generated so far."""
        return len(self.tokens) - self.prompt_tokens

    @property
    def missing_prompt_rows(self) -> int:
        """Number of prompt tokens whose keys and values are not computed yet."""
        return self.prompt_tokens - self.rows

    @property
    def rows_to_score(self) -> int:
        """Number of prompt rows whose logits the request asks for: each row's logits belong to the next token."""
        return 0 if self.request.sampling.prompt_logprobs is None else self.prompt_tokens - 1

    @property
    def awaits_score(self) -> bool:
        """Whether logits of prompt rows are still missing."""
        return self.scored < self.rows_to_score

    @property
    def skippable_rows(self) -> int:
        """Number of its first prompt rows that need not be computed if their keys and values are cached."""
        return self.scored if self.awaits_score else self.prompt_tokens

    @property
    def awaits_token(self) -> bool:
        """Whether all tokens have been computed, so that the next token can be chosen."""
        return self.rows == len(self.tokens)

    @property
    def limit_rows(self) -> int:
        """Maximum rows that it can need: the last token of a completion is never computed."""
        return self.prompt_tokens + max(self.max_tokens, 1) - 1

    def use_drafts(self) -> None:
        """Propose drafts from now on."""
        self._drafter = Drafter(self.tokens, self.prompt_tokens + self.max_tokens)

    def draft(self) -> Draft:
        """Propose tokens that may follow the last token; an empty draft without `use_drafts`.

        At least one more token than the draft may be generated. While a preempted completion is computed again, its
        next tokens are certain, and the draft is empty.
        """
        room = self.max_tokens - self.completion_tokens - 1
        if self._drafter is None or room < 1 or self.rows + 1 < len(self.tokens):
            return Draft()
        return self._drafter.draft().cut(room)

    def drop_drafts(self) -> None:
        """Free the memory for drafts."""
        self._drafter = None

    def admit(self, now: float) -> None:
        """Record the admission (possibly a second one, after a preemption)."""
        self.status = Status.PREFILL
        self._admitted_at = now if self._admitted_at is None else self._admitted_at

    def append(self, token: int, now: float) -> None:
        """Append a chosen token to the completion."""
        self.tokens.append(token)
        self._first_token_at = now if self._first_token_at is None else self._first_token_at

    def usage(self, now: float) -> Usage:
        """The usage until now."""
        admitted = now if self._admitted_at is None else self._admitted_at
        first = now if self._first_token_at is None else self._first_token_at
        return Usage(
            prompt_tokens=self.prompt_tokens,
            cached_tokens=self.cached_tokens or 0,
            completion_tokens=self.completion_tokens,
            queue_s=admitted - self._submitted_at,
            prefill_s=first - admitted,
            decode_s=now - first,
            accepted_draft_tokens=self.accepted_draft_tokens,
            rejected_draft_tokens=self.draft_tokens - self.accepted_draft_tokens,
        )
