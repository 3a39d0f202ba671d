"""The pages: what they link to and the tests that they name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
_LINK = re.compile(r"\]\(([^)\s#:]+)(?:#[^)]*)?\)")
_TEST = re.compile(r"\btests/[\w/]*\w+\.py")


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda page: page.name
)
def test_what_a_page_points_at_exists(page: Path):
    text = page.read_text(encoding="utf-8")
    targets = [page.parent / link for link in _LINK.findall(text)] + [ROOT / name for name in _TEST.findall(text)]
    assert [str(target) for target in targets if not target.exists()] == []
