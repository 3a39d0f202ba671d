"""`appliance model`: the command group; each command is a module in this folder."""

from __future__ import annotations

import click

from appliance.cli.lazy import LazyGroup

COMMANDS = {
    "list": ("appliance.cli.model.list:command", "List installed and available models."),
    "load": ("appliance.cli.model.load:command", "Load a model of the running box."),
    "pull": ("appliance.cli.model.pull:command", "Download, verify and install a model."),
    "remove": ("appliance.cli.model.remove:command", "Remove an installed model."),
    "show": ("appliance.cli.model.show:command", "Show the details of a model."),
    "unload": ("appliance.cli.model.unload:command", "Unload a model of the running box."),
    "verify": ("appliance.cli.model.verify:command", "Verify the files of installed models again."),
}


@click.group("model", cls=LazyGroup, table=COMMANDS)
def command() -> None:
    """Download, verify, list, load and remove models."""
