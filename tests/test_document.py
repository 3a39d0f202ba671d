"""Documents become values, and that no file is read in another way."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.document import Bounds, from_document, from_toml
from appliance.errors import UsageError

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Lamp:
    """A value with one of each."""

    name: str
    watts: int = field(metadata=Bounds(least=2, most=9).metadata)
    colour: str | None
    is_on: bool = False
    lumens: float = 1.5
    parts: tuple[Lamp, ...] = ()


def test_what_is_absent_has_its_default_or_is_none() -> None:
    assert from_toml(Lamp, 'name = "a"\nwatts = 2', "x") == Lamp("a", 2, None)
    assert from_document(Lamp, {"name": "a", "watts": 9, "colour": None, "lumens": 2}, "x") == Lamp(
        "a", 9, None, lumens=2.0
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"watts": 1}, "x: watts is 1, expected a whole number from 2 to 9"),
        ({"watts": 10}, "x: watts is 10, expected a whole number from 2 to 9"),
        ({"watts": True}, "x: watts is True, expected"),
        ({"name": None}, "x: 'name' is null"),
        ({"is_on": 1}, "x: is_on must be true or false"),
        ({"lumens": float("inf")}, "x: lumens is inf, expected"),
        ({"parts": {}}, "x: parts must be a list"),
        ({"parts": [{"name": "b", "watts": 0, "colour": None}]}, "x [parts 1]: watts is 0, expected"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        from_document(Lamp, {"name": "a", "watts": 5, **changes}, "x")


@given(
    document=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["name", "watts", "parts", "colour"]), inner),
    )
)
def test_whatever_a_document_holds_it_is_a_value_or_refused_by_name(document: Any) -> None:
    try:
        found = from_document(Lamp, document, "the file")
    except UsageError as error:
        assert error.message.startswith("the file")  # noqa: PT017 - both ends are fine
    else:
        assert isinstance(found, Lamp)


def test_no_other_module_parses_toml() -> None:
    paths = [path for part in ("appliance", "export") for path in (ROOT / part).rglob("*.py")]
    assert [path.name for path in paths if "tomllib" in path.read_text(encoding="utf-8")] == ["document.py"]
