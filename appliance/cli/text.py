"""Text from the command line that goes to the model: UTF-8, or refused."""

from __future__ import annotations

import click


def text(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """A parameter's callback. Bytes that are no UTF-8 arrive as lone surrogates, which no message can hold."""
    if value is not None and not is_text(value):
        raise click.BadParameter("the text is not valid UTF-8; convert it, for example with iconv")
    return value


def is_text(value: str) -> bool:
    """Whether it can be written as UTF-8."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
