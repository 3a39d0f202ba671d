"""`appliance tls`: the command group; each command is a module in this folder."""

from __future__ import annotations

import click

from appliance.cli.lazy import LazyGroup

COMMANDS = {
    "client": ("appliance.cli.tls.client:command", "Create a client certificate, signed by the site CA."),
    "init": ("appliance.cli.tls.init:command", "Create a site CA and a server certificate."),
    "show": ("appliance.cli.tls.show:command", "Show the certificates of this box and their expiry dates."),
}


@click.group("tls", cls=LazyGroup, table=COMMANDS)
def command() -> None:
    """Create and show certificates."""
