"""`appliance key rotate`."""

from __future__ import annotations

import time

import click

from appliance.auth.api_key import ApiKey
from appliance.auth.key_file import KeyFile
from appliance.auth.key_record import instant
from appliance.cli.box import Box
from appliance.cli.key.completion import key_ids
from appliance.cli.key.moment import length_s, moment
from appliance.cli.key.shown import show_once
from appliance.cli.output import json_option, tell


@click.command("rotate")
@click.argument("key_id", metavar="ID", shell_complete=key_ids)
@click.option(
    "--grace",
    callback=length_s,
    default="7d",
    show_default=True,
    metavar="TIME",
    help="How long the old key stays valid.",
)
@click.option(
    "--expires",
    callback=moment,
    metavar="WHEN",
    help="When the new key expires: 90d, 12h or a UTC date (2027-01-31). Default: never, whatever the old key had.",
)
@json_option
@click.pass_obj
def command(box: Box, key_id: str, grace: int, expires: int | None, as_json: bool) -> None:
    """Replace a key; the old key stays valid for a grace period.

    The box treats the new key as the same client: it keeps the old key's scopes, limits and place in queues, but not
    its expiry date.
    """
    now = int(time.time())
    key = ApiKey.new()
    keys = KeyFile(box.layout.keys)
    record = keys.update(lambda ring: ring.rotate(key_id, key, now, grace, expires))
    show_once(key, record, now, as_json=as_json)
    if not as_json:
        tell(f"the old key {key_id} expires at the latest on {instant(now + grace)}")
