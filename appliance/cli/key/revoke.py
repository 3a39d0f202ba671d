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
    """Let a key open nothing any more, at once.

    ID is the middle part of a key, apl_ID_…, and what `appliance key list` shows. Answers under way are finished.
    """
    now = int(time.time())
    record = KeyFile(box.layout.keys).update(lambda ring: ring.revoke(key_id, now))
    if as_json:
        print_json(document(record, now))
    else:
        click.echo(f"key {record.key_id} for {record.name} is revoked")
