"""`appliance key create`."""

from __future__ import annotations

import time

import click

from appliance.auth.api_key import ApiKey
from appliance.auth.key_file import KeyFile
from appliance.auth.scope import MEANINGS, Scope, parse_scopes
from appliance.cli.box import Box
from appliance.cli.key.moment import moment
from appliance.cli.key.shown import show_once
from appliance.cli.output import json_option

_SCOPES = "; ".join(f"{scope.value}: {meaning}" for scope, meaning in MEANINGS.items())


@click.command("create")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([scope.value for scope in Scope]),
    default=[Scope.INFER.value],
    show_default=True,
    help=f"Permission of the key; repeat the option for several. {_SCOPES}.",
)
@click.option(
    "--expires",
    callback=moment,
    metavar="WHEN",
    help="When the key expires: 90d, 12h or a UTC date (2027-01-31). Default: never.",
)
@json_option
@click.pass_obj
def command(box: Box, name: str, scopes: tuple[str, ...], expires: int | None, as_json: bool) -> None:
    """Create an API key and show it once.

    NAME describes the purpose of the key. As soon as the first key exists, the box requires a key from every client,
    including clients on this machine.
    """
    now = int(time.time())
    key = ApiKey.new()
    record = KeyFile(box.layout.keys).update(lambda ring: ring.add(key, name, parse_scopes(scopes), now, expires))
    show_once(key, record, now, as_json=as_json)
