"""The pages as their readers meet them, whatever wrote them: plain text, and what the program prints and takes."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from appliance.cli.rim import run
from appliance.config import Config

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md")))


@pytest.fixture(params=PAGES, ids=lambda page: page.name)
def text(request: pytest.FixtureRequest) -> str:
    return Path(request.param).read_text(encoding="utf-8")


def test_a_page_has_no_character_that_cannot_be_seen(text: str):
    assert [letter for letter in text if letter != "\n" and not letter.isprintable()] == []


def test_every_block_of_code_is_closed(text: str):
    assert len(re.findall(r"^ *```", text, re.MULTILINE)) % 2 == 0


def test_every_row_of_a_table_has_the_cells_of_its_head(text: str):
    assert [table for table in _tables(text) if len({len(row) for row in table}) > 1] == []


def _tables(text: str) -> Iterator[list[list[str]]]:
    for block in re.findall(r"(?:^\|.*\n?)+", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE):
        yield [re.split(r"(?<!\\)\|", line.strip()) for line in block.splitlines()]


def _helps() -> dict[str, str]:
    """Of the page of the command line: what stands under the heading of each command."""
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^## (appliance[^\n]*)\n\n```\n(.*?)\n```$", page, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("path", _helps())
def test_the_page_has_the_help_that_the_program_prints(path: str, capsys: pytest.CaptureFixture[str]):
    assert run([*path.split()[1:], "--help"]) == 0
    # Lines end where the reader's terminal does, also within a word that has a hyphen.
    assert "".join(_helps()[path].split()) == "".join(capsys.readouterr().out.split())


def test_every_command_that_a_help_lists_has_its_own():
    listed = {
        f"{path} {name}"
        for path, shown in _helps().items()
        for name in re.findall(r"^  (\S+)", shown.partition("\nCommands:\n")[2].partition("\n\n")[0], re.MULTILINE)
    }
    assert listed | {"appliance"} == set(_helps())


def _keys() -> Iterator[tuple[str, str, str, str]]:
    """Of the page of the configuration: section, key, type and default of each row."""
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    row = re.compile(r"^\| `(\w+)` \| (\w+|`.*?`) \| (?:`(.*?)`)? \|", re.MULTILINE)
    for section, rows in re.findall(r"^## \[(\w+)\]\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL):
        yield from ((section, *found) for found in row.findall(rows))


@pytest.mark.parametrize(("section", "key", "kind", "default"), list(_keys()))
def test_a_default_of_the_page_is_what_an_absent_key_means(section: str, key: str, kind: str, default: str):
    if not default:
        assert getattr(getattr(Config(), section), key) is None
        return
    is_text = kind == "str" or kind.startswith("`")
    written = f'"{default}"' if is_text else default
    assert Config.from_text(f"[{section}]\n{key} = {written}\n", "the page") == Config()
    assert type(tomllib.loads(f"value = {written}")["value"]).__name__ == ("str" if is_text else kind)


def test_the_page_has_every_key_of_the_configuration():
    keys = {(section.name, key.name) for section in fields(Config) for key in fields(getattr(Config(), section.name))}
    assert {(section, key) for section, key, *_ in _keys()} == keys
