"""Types of pydantic and zod, and the schemas that the libraries make of them."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import functools
import ipaddress
import json
import pathlib
import re
import uuid
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

_GOLDEN = Path(__file__).parents[1] / "golden" / "zod-schemas.json"


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Cat(pydantic.BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(pydantic.BaseModel):
    kind: Literal["dog"]
    name: str = "Rex"


class Closed(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    a: int


class Open(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    a: int


class Tree(pydantic.BaseModel):
    children: list[Tree] = []


PYDANTIC: dict[str, Any] = {
    "str": str,
    "Annotated[str, Field(min_length=1, max_length=9)]": Annotated[str, Field(min_length=1, max_length=9)],
    'Annotated[str, Field(pattern="^[a-z]+$")]': Annotated[str, Field(pattern="^[a-z]+$")],
    "int": int,
    "Annotated[int, Field(ge=1, lt=9)]": Annotated[int, Field(ge=1, lt=9)],
    "Annotated[int, Field(multiple_of=5)]": Annotated[int, Field(multiple_of=5)],
    "float": float,
    "bool": bool,
    "None": None,
    "Any": Any,
    "Literal": Literal["a", 1],
    "Enum": Colour,
    "int | None": int | None,
    "int | str": int | str,
    "BaseModel": Cat,
    'BaseModel, extra="forbid"': Closed,
    'BaseModel, extra="allow"': Open,
    "BaseModel of itself": Tree,
    "Union with a discriminator": Annotated[Cat | Dog, Field(discriminator="kind")],
    "list[int]": list[int],
    "Annotated[list[int], Field(min_length=1)]": Annotated[list[int], Field(min_length=1)],
    "tuple[int, str]": tuple[int, str],
    "set[bool]": set[bool],
    "set[Enum], at most 5 values": set[Colour],
    "set[Literal], at most 5 texts": set[Literal["a", "b", "c"]],
    "set[int], set[str], frozenset": set[int],
    "dict[str, int]": dict[str, int],
    "dict[int, str]": dict[int, str],
    "dict[Literal, int]": dict[Literal["a", "b"], int],
    "dict[Annotated[str, Field(pattern=…)], int]": dict[Annotated[str, Field(pattern="^x")], int],
    "date": dt.date,
    "time": dt.time,
    "datetime, AwareDatetime": dt.datetime,
    "NaiveDatetime": pydantic.NaiveDatetime,
    "timedelta": dt.timedelta,
    "Decimal": decimal.Decimal,
    "bytes": bytes,
    "Base64Str, Base64Bytes": pydantic.Base64Bytes,
    "Base64UrlStr, Base64UrlBytes": pydantic.Base64UrlBytes,
    "Path": pathlib.Path,
    "SecretStr": pydantic.SecretStr,
    "Json": pydantic.Json,
    "Pattern": re.Pattern,
    "UUID": uuid.UUID,
    "UUID4 (and 1 to 8)": pydantic.UUID4,
    "IPv4Address": ipaddress.IPv4Address,
    "IPv6Address": ipaddress.IPv6Address,
    "IPv4Network": ipaddress.IPv4Network,
    "IPv6Network": ipaddress.IPv6Network,
    "IPv4Interface": ipaddress.IPv4Interface,
    "IPv6Interface": ipaddress.IPv6Interface,
    "IPvAnyAddress": pydantic.IPvAnyAddress,
    "IPvAnyInterface": pydantic.IPvAnyInterface,
    "IPvAnyNetwork": pydantic.IPvAnyNetwork,
    "AnyUrl, HttpUrl": pydantic.AnyUrl,
    "PostgresDsn, RedisDsn, …": pydantic.PostgresDsn,
    "ByteSize": pydantic.ByteSize,
}


def adapter(name: str) -> pydantic.TypeAdapter[Any]:
    """The validator of a type of PYDANTIC."""
    return pydantic.TypeAdapter(PYDANTIC[name])


def pydantic_schemas() -> dict[str, Any]:
    """Type → its schema."""
    return {name: adapter(name).json_schema() for name in PYDANTIC}


@functools.cache
def zod_schemas() -> dict[str, Any]:
    """Type → its schema, as tool arguments and formats are described."""
    return {name: each["input"] for name, each in json.loads(_GOLDEN.read_text(encoding="utf-8"))["schemas"].items()}


OTHERS: dict[str, Any] = {
    "`not`": {"type": "integer", "not": {"const": 1}},
    "`if`, `then`, `else`": {"type": "object", "if": {"required": ["a"]}, "then": {"required": ["b"]}},
    "`contains`": {"type": "array", "contains": {"type": "integer"}},
    "`oneOf` whose branches exclude each other": {"oneOf": [{"type": "integer"}, {"type": "string"}]},
    "`oneOf` whose branches overlap": {"oneOf": [{"type": "integer"}, {"type": "number"}]},
    "`dependentRequired`": {"type": "object", "dependentRequired": {"a": ["b"]}},
    "`unevaluatedProperties`": {"type": "object", "unevaluatedProperties": False},
    "`minProperties` beside optional properties": {"properties": {"a": {}, "b": {}}, "minProperties": 1},
    "a pattern with look-ahead, not listed above": {"type": "string", "pattern": "^(?=.*a)b"},
    "an unknown format": {"type": "string", "format": "x"},
    "counts written as `2.0`": {"type": "array", "minItems": 2.0},
}  # fmt: skip
