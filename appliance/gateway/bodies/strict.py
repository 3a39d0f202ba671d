"""The base of all request bodies: exact types; unknown fields are reported or refused."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Item = TypeVar("Item")
# A list that may be long: only its first wrong item is reported, not thousands of items.
Many = Annotated[list[Item], Field(fail_fast=True)]


class Strict(BaseModel):
    """No conversions between types, no NaN; null means that a field is absent.

    Many clients send whole models with null for all unset fields: such a field has no effect, even if it is unknown.

    Attributes:
        HINTS: known fields without effect → why; like `ParameterPolicy.hints`, for the objects inside a body.
    """

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        frozen=True,
        protected_namespaces=(),
        json_schema_extra={"additionalProperties": True},
    )

    HINTS: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _only_effective(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {key: one for key, one in value.items() if one is not None and key not in cls.HINTS}

    @classmethod
    @functools.cache
    def input_names(cls) -> Mapping[str, str]:
        """The names of fields in JSON → their names in Python."""
        return {name: field for field in cls.model_fields for name in _names_in_json(cls, field)}


def _names_in_json(kind: type[BaseModel], field: str) -> list[str]:
    alias = kind.model_fields[field].validation_alias
    if isinstance(alias, AliasChoices):
        return [choice for choice in alias.choices if isinstance(choice, str)]
    return [alias if isinstance(alias, str) else field]


def _boolean(value: Any) -> Any:
    """Accept only booleans: in Python, and in pydantic's literals, 0.0 equals False and 1 equals True."""
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004  what pydantic takes for a refusal
    return value


OnlyFalse = Annotated[Literal[False], BeforeValidator(_boolean)]
OnlyTrue = Annotated[Literal[True], BeforeValidator(_boolean)]
