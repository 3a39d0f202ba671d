"""`appliance model`: the noun; each verb is a module beside this one."""

from __future__ import annotations

import click

from appliance.cli.lazy import LazyGroup

COMMANDS: dict[str, tuple[str, str]] = {}


@click.group("model", cls=LazyGroup, table=COMMANDS)
def command() -> None:
    """Known and installed models."""
