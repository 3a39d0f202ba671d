"""The embedding task: one vector for each text, and the fields that only this task needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from appliance.artefact.parts import MAX_TOKENS, MAX_VOCABULARY, bounded, special_tokens, text

EMBEDDING = "embedding"
# How the states of a text's tokens become its vector: their mean, or the state of the first or of the last token.
MEAN = "mean"
CLS = "cls"
LAST = "lasttoken"
# The purposes of a text for which a model can have a prefix.
QUERY = "query"
DOCUMENT = "document"
_POOLINGS = (MEAN, CLS, LAST)
_PURPOSES = frozenset({QUERY, DOCUMENT})
_MAX_DIMENSIONS = 1 << 17


@dataclass(frozen=True)
class Embedding:
    """The settings of an embedding model.

    Attributes:
        dimensions: elements of a vector.
        max_tokens: the longest text, in tokens, with the prefix and the special tokens.
        pooling: how the graph makes the vector: MEAN, CLS or LAST.
        normalised: whether every vector has the length 1.
        vocabulary: rows of the table of tokens; a token id is less than this.
        first_token_ids: the special tokens at the beginning of every text; the tokenizer adds them.
        last_token_ids: the special tokens at the end of every text; the tokenizer adds them.
        prefixes: the text that the model expects before a text, by its purpose: QUERY, DOCUMENT. A purpose without a
            prefix is absent.
        least_dimensions: a vector may be cut to this number of elements or more; None: its elements belong together.
    """

    dimensions: int
    max_tokens: int
    pooling: str
    normalised: bool
    vocabulary: int
    first_token_ids: tuple[int, ...]
    last_token_ids: tuple[int, ...]
    prefixes: Mapping[str, str] = field(default_factory=dict)
    least_dimensions: int | None = None

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Embedding:
        """Create the task from JSON values.

        Raises:
            ValueError, TypeError, KeyError, AttributeError: a value is wrong, or there are other fields.
        """
        # Artefacts of earlier versions do not have it.
        fields = {"least_dimensions": None, **fields}
        if fields.keys() != {each.name for each in dataclasses.fields(cls)}:
            raise ValueError(f"{EMBEDDING} has other fields than it should")
        bounded(fields["vocabulary"], "the vocabulary", least=1, most=MAX_VOCABULARY)
        names = ("first_token_ids", "last_token_ids")
        ends = {name: special_tokens(fields[name], name, fields["vocabulary"]) for name in names}
        task = cls(**{**fields, **ends})
        bounded(task.dimensions, "the number of dimensions", least=1, most=_MAX_DIMENSIONS)
        if task.least_dimensions is not None:
            bounded(task.least_dimensions, "least_dimensions", least=1, most=task.dimensions)
        # A text has at least one token of its own.
        bounded(task.max_tokens, "max_tokens", least=sum(map(len, ends.values())) + 1, most=MAX_TOKENS)
        if task.pooling not in _POOLINGS:
            raise ValueError(f"the pooling is {task.pooling!r}")
        if not isinstance(task.normalised, bool):
            raise TypeError(f"normalised is {task.normalised!r}")
        for purpose in task.prefixes.keys() - _PURPOSES:
            raise ValueError(f"{purpose!r} is no purpose of a text")
        for purpose, prefix in task.prefixes.items():
            if not text(prefix, f"the prefix of a {purpose}"):
                raise ValueError(f"the prefix of a {purpose} is empty")
        return task
