"""Output of commands: JSON for scripts, text for people."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])


def json_option(function: Function) -> Function:
    """Add `--json` to a command, passed to it as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts, including errors.")(function)


def print_json(document: Any) -> None:
    """Print one JSON document on standard output."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True))


def wants_json() -> bool:
    """Whether the running command has --json: then it prints nothing else, not even on standard error."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.params.get("as_json"))


def tell(line: str) -> None:
    """Print a line for people on standard error. If it cannot be written, for example on a full disk, continue."""
    if not wants_json():
        with suppress(OSError):
            click.echo(line, err=True)


def table(header: Sequence[str] | None, rows: Sequence[Sequence[str]]) -> None:
    """Print rows of text in columns as wide as needed, for people."""
    lines = [header, *rows] if header else list(rows)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
