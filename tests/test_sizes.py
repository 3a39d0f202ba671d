"""Sizes for people, and that nobody writes them in another way."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from appliance.sizes import size

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (491_400_064, "491.4 MB"),
        (2 * 10**9, "2.00 GB"),
        (1_234_567 * 10**6, "1,234.57 GB"),
    ],
)
def test_sizes_are_for_people(size_bytes: int, text: str):
    assert size(size_bytes) == text


def test_no_module_of_the_product_divides_bytes_itself():
    own = re.compile(r"/ *(1e6|1e9|10 ?\*\* ?[69]).*[MG]B")
    paths = [path for part in ("appliance", "export") for path in (ROOT / part).rglob("*.py")]
    assert len(paths) > 100
    assert [str(path) for path in paths if own.search(path.read_text(encoding="utf-8"))] == []
