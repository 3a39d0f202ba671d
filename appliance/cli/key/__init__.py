"""`appliance key`: the noun; each verb is a module beside this one."""

from __future__ import annotations

import click

from appliance.cli.lazy import LazyGroup

COMMANDS = {
    "create": ("appliance.cli.key.create:command", "Make a key and show it once."),
    "list": ("appliance.cli.key.list:command", "List all keys that were made here."),
    "revoke": ("appliance.cli.key.revoke:command", "Let a key open nothing any more, at once."),
    "rotate": ("appliance.cli.key.rotate:command", "Make a successor of a key, and let both live for a while."),
}


@click.group("key", cls=LazyGroup, table=COMMANDS)
def command() -> None:
    """API keys of this box."""
