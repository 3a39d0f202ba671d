"""The rules for API parameters that are not in the schema: rejected with an error, or ignored. Tables, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from appliance.errors import RequestError


@dataclass(frozen=True)
class Refused:
    """A parameter that would change the answer and is not supported.

    Attributes:
        why: the reason, for the client.
        neutral: values, besides null, that request nothing and are therefore accepted.
        error: the class of the error, if clients expect a special code for this error.
    """

    why: str
    neutral: tuple[Any, ...] = ()
    error: type[RequestError] = RequestError


@dataclass(frozen=True)
class ParameterPolicy:
    """The parameters of one API that its schema does not contain.

    Attributes:
        refused: parameter → the reason, and the accepted values.
        ignored: parameter → why it cannot change the answer.
    """

    refused: Mapping[str, Refused] = field(default_factory=dict)
    ignored: Mapping[str, str] = field(default_factory=dict)

    def honoured(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the body without the parameters that have no effect.

        Raises:
            RequestError: a parameter has an unsupported value; the error names the parameter.
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
    """Whether two JSON values are equal: Python's == treats 0.0 and False as equal."""
    return isinstance(value, bool) == isinstance(neutral, bool) and bool(value == neutral)
