"""The rules for API parameters that are not in the schema: rejected, ignored or renamed. Tables, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from appliance.errors import RequestError


@dataclass(frozen=True)
class Refused:
    """A parameter that would change the answer's meaning or safety, and is not supported.

    Attributes:
        why: the reason, for the client.
        neutral: values, besides null, that request nothing and are therefore accepted.
        error: the class of the error, if clients expect a special code for this error.
    """

    why: str
    neutral: tuple[Any, ...] = ()
    error: type[RequestError] = RequestError


@dataclass(frozen=True)
class Hint:
    """A parameter without effect: the request succeeds, and the response names the parameter.

    Attributes:
        why: why it has no effect, for the client.
        neutral: values, besides null, that request what the box does anyway; the response does not name them.
    """

    why: str
    neutral: tuple[Any, ...] = ()


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class Synonym:
    """A parameter of another server that has the meaning of one of the box's parameters.

    Attributes:
        parameter: the box's name.
        convert: the value for the box; None: the value requests nothing. It raises ValueError for a wrong value.
        values: how values differ, for the documentation; empty: they do not.
        fields: the fields of an object that have an effect, of which the response names the others; empty: all have.
    """

    parameter: str
    convert: Callable[[Any], Any] = _same
    values: str = ""
    fields: tuple[str, ...] = ()

    def without_effect(self, value: Any) -> list[str]:
        """The fields of an object that have no effect."""
        if not self.fields or not isinstance(value, dict):
            return []
        return [name for name, one in value.items() if one is not None and name not in self.fields]


@dataclass(frozen=True)
class Applied:
    """A body after the rules.

    Attributes:
        body: the parameters for the schema.
        ignored: names of the parameters without effect that the response reports.
        renamed: the box's name of a parameter → the name that the client used.
    """

    body: Mapping[str, Any]
    ignored: tuple[str, ...]
    renamed: Mapping[str, str]


@dataclass(frozen=True)
class ParameterPolicy:
    """The parameters of one API that its schema does not contain.

    Attributes:
        refused: parameter → the reason, and the accepted values.
        hints: parameter → why it has no effect.
        synonyms: parameter → the parameter that it stands for.
    """

    refused: Mapping[str, Refused] = field(default_factory=dict)
    hints: Mapping[str, Hint] = field(default_factory=dict)
    synonyms: Mapping[str, Synonym] = field(default_factory=dict)

    def applied(self, body: Mapping[str, Any]) -> Applied:
        """Apply the rules to a body. Null requests nothing, for all parameters.

        Raises:
            RequestError: a parameter has an unsupported value, or contradicts its synonym; the error names it.
        """
        kept: dict[str, Any] = {}
        renamed: dict[str, Any] = {}
        ignored = []
        for key, value in body.items():
            if value is None:
                continue
            if refused := self.refused.get(key):
                if not _is_neutral(value, refused.neutral):
                    raise refused.error(f"{key} is not supported: {refused.why}", param=key)
            elif hint := self.hints.get(key):
                if not _is_neutral(value, hint.neutral):
                    ignored.append(key)
            elif key in self.synonyms:
                renamed[key] = value
            else:
                kept[key] = value
        for key, value in renamed.items():
            self._rename(key, value, kept)
            ignored += [f"{key}.{name}" for name in self.synonyms[key].without_effect(value)]
        return Applied(kept, tuple(ignored), {self.synonyms[key].parameter: key for key in renamed})

    def _rename(self, key: str, value: Any, kept: dict[str, Any]) -> None:
        synonym = self.synonyms[key]
        try:
            converted = synonym.convert(value)
        except ValueError as error:
            raise RequestError(f"{key}: {error}", param=key) from error
        if converted is None:
            return
        if synonym.parameter in kept and kept[synonym.parameter] != converted:
            raise RequestError(f"{key} and {synonym.parameter} contradict each other", param=key)
        kept[synonym.parameter] = converted


def _is_neutral(value: Any, neutral: tuple[Any, ...]) -> bool:
    return any(_is_same(value, one) for one in neutral)


def _is_same(value: Any, neutral: Any) -> bool:
    """Whether two JSON values are equal: Python's == treats 0.0 and False as equal."""
    return isinstance(value, bool) == isinstance(neutral, bool) and bool(value == neutral)
