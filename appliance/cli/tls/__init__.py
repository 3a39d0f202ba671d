"""`appliance tls`: the noun; each verb is a module beside this one."""

from __future__ import annotations

import click

from appliance.cli.lazy import LazyGroup

COMMANDS = {
    "client": ("appliance.cli.tls.client:command", "Make a client certificate with the site CA."),
    "init": ("appliance.cli.tls.init:command", "Make a site CA and a server certificate."),
    "show": ("appliance.cli.tls.show:command", "Show the certificates of this box."),
}


@click.group("tls", cls=LazyGroup, table=COMMANDS)
def command() -> None:
    """Certificates of this box."""
