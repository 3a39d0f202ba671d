"""Checks that text from the command line is valid UTF-8, before it goes to the model."""

from __future__ import annotations

import click


def text(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Callback of a text parameter. Invalid UTF-8 arrives as lone surrogates, which no message can contain."""
    if value is not None and not is_text(value):
        raise click.BadParameter("the text is not valid UTF-8; convert it, for example with iconv")
    return value


def is_text(value: str) -> bool:
    """Whether the text can be encoded as UTF-8."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
