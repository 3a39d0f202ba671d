"""`appliance key revoke`."""

from __future__ import annotations

import time

import click

from appliance.auth.key_file import KeyFile
from appliance.cli.box import Box
from appliance.cli.key.completion import key_ids
from appliance.cli.key.shown import document
from appliance.cli.output import json_option, print_json


@click.command("revoke")
@click.argument("key_id", metavar="ID", shell_complete=key_ids)
@json_option
@click.pass_obj
def command(box: Box, key_id: str, as_json: bool) -> None:
    """Revoke a key immediately.

    ID is the middle part of the key, apl_ID_…; `appliance key list` shows it. The box finishes responses that have
    already started.
    """
    now = int(time.time())
    record = KeyFile(box.layout.keys).update(lambda ring: ring.revoke(key_id, now))
    if as_json:
        print_json(document(record, now))
    else:
        click.echo(f"revoked key {record.key_id} ({record.name})")
