"""`appliance tls client`."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import click

from appliance.auth.site_ca import MAX_DAYS
from appliance.cli.box import Box
from appliance.cli.output import json_option, print_json
from appliance.cli.tls.files import read_ca, write_pair
from appliance.errors import UsageError


@click.command("client")
@click.argument("name")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    metavar="DIR",
    help="Folder for NAME.pem and NAME.key. Default: the current folder.",
)
@click.option(
    "--days",
    type=click.IntRange(1, MAX_DAYS),
    default=MAX_DAYS,
    show_default=True,
    help="Days that the certificate is valid.",
)
@json_option
@click.pass_obj
def command(box: Box, name: str, out: Path, days: int, as_json: bool) -> None:
    """Create a client certificate, signed by the site CA.

    NAME identifies the client. In appliance.toml in the root folder of the box, set client_ca to the site CA's file
    (tls/ca.pem in the root folder), and give NAME its scopes in the section [access.certificates].
    """
    authority = read_ca(box.layout.tls)
    if authority is None:
        raise UsageError("this box has no site CA", hint="create one: appliance tls init")
    pair = authority.issue_client(name, datetime.now(timezone.utc), days)
    paths = (out / f"{name}.pem", out / f"{name}.key")
    write_pair(pair, *paths)
    if as_json:
        print_json({"name": name, "certificate": str(paths[0]), "private_key": str(paths[1]), "days": days})
    else:
        click.echo(f"created {paths[0]} and {paths[1]}, valid for {days} days")
