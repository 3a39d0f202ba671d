"""docs/targets.md says what the target files say."""

from pathlib import Path

from tests.targets.page import table

PAGE = Path(__file__).parents[2] / "docs" / "targets.md"


def test_the_page_has_the_table_that_the_files_give():
    assert table() in PAGE.read_text(encoding="utf-8"), "python -m tests.targets.page"
