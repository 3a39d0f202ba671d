"""`appliance tls init`."""

from __future__ import annotations

import socket
from datetime import datetime, timezone

import click

from appliance.auth.policy import CA_CERTIFICATE, CA_KEY, SERVER_CERTIFICATE, SERVER_KEY
from appliance.auth.site_ca import MAX_DAYS
from appliance.cli.box import Box
from appliance.cli.output import json_option, print_json
from appliance.cli.tls.files import ensure_ca, write_pair

_ALWAYS = ("localhost", "127.0.0.1", "::1")


@click.command("init")
@click.argument("names", nargs=-1)
@click.option(
    "--days",
    type=click.IntRange(1, MAX_DAYS),
    default=MAX_DAYS,
    show_default=True,
    help="Days that the server certificate is valid.",
)
@json_option
@click.pass_obj
def command(box: Box, names: tuple[str, ...], days: int, as_json: bool) -> None:
    """Create a site CA and a server certificate.

    NAMES are the host names and IP addresses that clients use for this box. Default: the host name of this machine. The
    command always adds localhost. If a site CA exists, the command keeps it and signs the new server certificate with
    it. A running box loads the new certificate without a restart.
    """
    folder = box.layout.tls
    wanted = list(dict.fromkeys([*(names or [socket.gethostname()]), *_ALWAYS]))
    now = datetime.now(timezone.utc)
    authority, is_new = ensure_ca(folder, now)
    pair = authority.issue_server(wanted, now, days)
    write_pair(pair, folder / SERVER_CERTIFICATE, folder / SERVER_KEY)
    ca_path = folder / CA_CERTIFICATE
    if as_json:
        print_json({"ca": str(ca_path), "ca_is_new": is_new, "names": wanted, "days": days})
        return
    click.echo(f"{'created a' if is_new else 'kept the'} site CA: {ca_path}")
    click.echo(f"created a server certificate for {', '.join(wanted)}, valid for {days} days")
    click.echo(
        f"clients need the CA certificate, for example: curl --cacert {ca_path} https://{wanted[0]}:8080/v1/models"
    )
    click.echo(f"keep {folder / CA_KEY} secret: anybody who has it can impersonate any server to these clients")
