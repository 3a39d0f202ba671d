"""`appliance key`: the command group; each command is a module in this folder."""

from __future__ import annotations

import click

from appliance.cli.lazy import LazyGroup

COMMANDS = {
    "create": ("appliance.cli.key.create:command", "Create an API key and show it once."),
    "list": ("appliance.cli.key.list:command", "List all API keys of this box."),
    "revoke": ("appliance.cli.key.revoke:command", "Revoke a key immediately."),
    "rotate": ("appliance.cli.key.rotate:command", "Replace a key; the old key stays valid for a grace period."),
}


@click.group("key", cls=LazyGroup, table=COMMANDS)
def command() -> None:
    """Create, list, replace and revoke API keys."""
