"""The base of all request bodies: exact types, no unknown fields."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Item = TypeVar("Item")
# A list that may be long: only its first wrong item is reported, not thousands of items.
Many = Annotated[list[Item], Field(fail_fast=True)]


class Strict(BaseModel):
    """No conversions between types, no NaN, no unknown field; null means that a field is absent.

    Many clients send whole models with null for all unset fields: such a field has no effect, even if it is unknown.
    """

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        frozen=True,
        protected_namespaces=(),
        json_schema_extra={"additionalProperties": {"type": "null"}},
    )

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        return {key: one for key, one in value.items() if one is not None} if isinstance(value, dict) else value


def _boolean(value: Any) -> Any:
    """Accept only booleans: in Python, and in pydantic's literals, 0.0 equals False and 1 equals True."""
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004  what pydantic takes for a refusal
    return value


OnlyFalse = Annotated[Literal[False], BeforeValidator(_boolean)]
OnlyTrue = Annotated[Literal[True], BeforeValidator(_boolean)]
