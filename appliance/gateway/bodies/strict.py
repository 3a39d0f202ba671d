"""What all request bodies have in common: exact types, and no field that is not understood."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Item = TypeVar("Item")
# A list that may be long: its first wrong item is told, not each of thousands.
Many = Annotated[list[Item], Field(fail_fast=True)]


class Strict(BaseModel):
    """No conversions between types, no NaN, no unknown field; null means that a field is absent.

    Many clients dump whole models, with null for all that was never set: such a field asks for nothing, known or not.
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
    """To Python, and so to pydantic's literals, 0.0 is False and 1 is True."""
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004  what pydantic takes for a refusal
    return value


OnlyFalse = Annotated[Literal[False], BeforeValidator(_boolean)]
OnlyTrue = Annotated[Literal[True], BeforeValidator(_boolean)]
