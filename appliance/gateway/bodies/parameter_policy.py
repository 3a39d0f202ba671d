"""How an API's parameters that are no fields of its schema are treated: refused by name, or ignored. Tables, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from appliance.errors import RequestError


@dataclass(frozen=True)
class Refused:
    """A parameter that would change the answer and cannot be honoured.

    Attributes:
        why: for the client's eyes.
        neutral: values beside null that ask for nothing and therefore pass.
        error: the refusal's class, where a client knows this refusal by a code of its own.
    """

    why: str
    neutral: tuple[Any, ...] = ()
    error: type[RequestError] = RequestError


@dataclass(frozen=True)
class ParameterPolicy:
    """One API's parameters beside those that its schema honours.

    Attributes:
        refused: parameter → why, and what passes.
        ignored: parameter → why it cannot change the answer.
    """

    refused: Mapping[str, Refused] = field(default_factory=dict)
    ignored: Mapping[str, str] = field(default_factory=dict)

    def honoured(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the body without the parameters that ask for nothing.

        Raises:
            RequestError: a parameter asks for what cannot be honoured; it is named.
        """
        kept = {}
        for key, value in body.items():
            if row := self.refused.get(key):
                if value is not None and not any(_is_same(value, neutral) for neutral in row.neutral):
                    raise row.error(f"{key} is not supported: {row.why}", param=key)
            elif key not in self.ignored:
                kept[key] = value
        return kept


def _is_same(value: Any, neutral: Any) -> bool:
    """Whether two JSON values are equal: to Python 0.0 is False too."""
    return isinstance(value, bool) == isinstance(neutral, bool) and bool(value == neutral)
