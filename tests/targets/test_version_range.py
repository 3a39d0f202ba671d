"""Ranges of versions are compared number by number, as their makers count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.targets import VersionRange

NUMBERS = st.lists(st.integers(0, 30), min_size=1, max_size=4)


def words(numbers: list[int]) -> str:
    return ".".join(map(str, numbers))


def padded(numbers: list[int]) -> list[int]:
    return [*numbers, *([0] * (4 - len(numbers)))]


@pytest.mark.parametrize(
    ("least", "below", "version", "covered"),
    [
        ("10.15", "12", "10.15", True),
        ("10.15", "12", "10.15.1.29", True),
        ("10.15", "12", "10.9", False),
        ("10.15", "12", "11.4", True),
        ("10.15", "12", "12.0", False),
        ("10.15.0", "", "10.15", True),
        ("", "14", "13.9.9", True),
        ("", "14", "14.0", False),
        ("", "", "0.1", True),
    ],
)
def test_the_least_is_within_and_the_bound_above_is_not(least: str, below: str, version: str, covered: bool) -> None:
    assert VersionRange(least, below).covers(version) is covered


@given(least=NUMBERS, below=NUMBERS, version=NUMBERS)
def test_it_covers_what_lies_between_as_lists_of_numbers(
    least: list[int], below: list[int], version: list[int]
) -> None:
    expected = padded(least) <= padded(version) < padded(below)
    assert VersionRange(words(least), words(below)).covers(words(version)) is expected


@given(least=NUMBERS, below=NUMBERS, version=NUMBERS)
def test_a_zero_at_the_end_changes_nothing(least: list[int], below: list[int], version: list[int]) -> None:
    plain = VersionRange(words(least), words(below)).covers(words(version))
    assert VersionRange(words([*least, 0]), words([*below, 0])).covers(words([*version, 0])) is plain


@pytest.mark.parametrize("version", ["", "10.x", "10.15.1+cuda13", "v10"])
def test_what_is_no_version_is_an_error(version: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        VersionRange("10").covers(version)


@pytest.mark.parametrize(
    ("least", "below", "said"),
    [("7.2", "", "7.2 or newer"), ("", "14", "before 14"), ("13.0", "14", "13.0 or newer, before 14"), ("", "", "any")],
)
def test_it_reads_as_a_sentence(least: str, below: str, said: str) -> None:
    assert str(VersionRange(least, below)) == said
