"""The reranking task: one logit for each pair of texts, and the fields that only this task needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from appliance.artefact.parts import MAX_TOKENS, MAX_VOCABULARY, bounded, special_tokens

RERANKING = "reranking"
_SPECIAL = ("first_token_ids", "middle_token_ids", "last_token_ids")


@dataclass(frozen=True)
class Reranking:
    """The settings of a reranker, which reads a query and a document together.

    Attributes:
        max_tokens: the longest pair, in tokens, with the special tokens.
        vocabulary: rows of the table of tokens; a token id is less than this.
        first_token_ids: the special tokens before the query.
        middle_token_ids: the special tokens between the query and the document.
        last_token_ids: the special tokens after the document.
    """

    max_tokens: int
    vocabulary: int
    first_token_ids: tuple[int, ...]
    middle_token_ids: tuple[int, ...]
    last_token_ids: tuple[int, ...]

    @property
    def special_tokens(self) -> int:
        """The number of special tokens in a pair."""
        return len(self.first_token_ids) + len(self.middle_token_ids) + len(self.last_token_ids)

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Reranking:
        """Create the task from JSON values.

        Raises:
            ValueError, TypeError, KeyError, AttributeError: a value is wrong, or there are other fields.
        """
        if fields.keys() != {each.name for each in dataclasses.fields(cls)}:
            raise ValueError(f"{RERANKING} has other fields than it should")
        bounded(fields["vocabulary"], "the vocabulary", least=1, most=MAX_VOCABULARY)
        special = {name: special_tokens(fields[name], name, fields["vocabulary"]) for name in _SPECIAL}
        task = cls(**{**fields, **special})
        # Each text has at least one token of its own.
        bounded(task.max_tokens, "max_tokens", least=task.special_tokens + 2, most=MAX_TOKENS)
        return task
