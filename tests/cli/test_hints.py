"""Every command that a hint, an error or a page tells people to run exists, with the options that it is shown with."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from appliance.cli.root import command as root

ROOT = Path(__file__).resolve().parents[2]
_SHOWN = re.compile(r"(?<!the )\bappliance ((?:[a-z]+)(?: [^\s;:,.()'\"`]+)*)")
_OPTION = re.compile(r"--[a-z][a-z-]+")

_PLACEHOLDER = "NAME"


def _hints() -> Iterator[tuple[str, str]]:
    """(where, text) of every argument `hint` in the product, with placeholders for what is filled in."""
    for folder in ("appliance", "export"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.keyword) and node.arg == "hint":
                    yield f"{path.relative_to(ROOT)}:{node.value.lineno}", _text(node.value)


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) for part in node.values)
    return _PLACEHOLDER


def _pages() -> Iterator[tuple[str, str]]:
    """(where, text) of every line of code in README and docs, inline code included."""
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        text = path.read_text(encoding="utf-8")
        for code in re.findall(r"```[a-z]*\n(.*?)```|`([^`\n]+)`", text, re.DOTALL):
            for line in "".join(code).splitlines():
                if line.lstrip().startswith(("appliance ", ".venv/bin/appliance ")):
                    yield str(path.relative_to(ROOT)), line.partition("  #")[0]


def _fault(shown: str) -> str:
    """What is wrong with a command line as it is shown; empty if nothing is."""
    command: click.Command = root
    context = click.Context(root, info_name="appliance")
    for word in shown.split():
        if not isinstance(command, click.Group) or not re.fullmatch(r"[a-z-]+", word) or word.startswith("-"):
            break
        found = command.get_command(context, word)
        if found is None:
            return f"there is no command {word!r} in: appliance {shown}"
        command, context = found, click.Context(found, context, info_name=word)
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    known |= {"--help", *(option for parameter in root.params for option in parameter.opts)}
    unknown = [option for option in _OPTION.findall(shown) if option not in known]
    return f"{command.name} has no option {unknown[0]}: appliance {shown}" if unknown else ""


@pytest.mark.parametrize("source", [_hints, _pages])
def test_every_command_that_is_shown_exists_with_its_options(source):
    shown = [(where, line) for where, text in source() for line in _SHOWN.findall(text)]
    assert len(shown) > 10
    assert [f"{where}: {fault}" for where, line in shown if (fault := _fault(line))] == []


def test_a_command_that_does_not_exist_is_found():
    assert _fault("modle list")
    assert _fault("model list --nonsense")
    assert not _fault("model list --json")
