"""`appliance key list`."""

from __future__ import annotations

import time

import click

from appliance.auth.key_file import KeyFile
from appliance.auth.key_record import instant
from appliance.auth.scope import scope_words
from appliance.cli.box import Box
from appliance.cli.key.shown import document
from appliance.cli.output import json_option, print_json, table


@click.command("list")
@json_option
@click.pass_obj
def command(box: Box, as_json: bool) -> None:
    """List all API keys of this box."""
    now = int(time.time())
    keyring = KeyFile(box.layout.keys).keyring()
    records = keyring.records if keyring else ()
    if as_json:
        print_json([document(record, now) for record in records])
        return
    if not records:
        click.echo("there are no keys: every local user can use the box, and no other machine can")
        return
    table(
        ("ID", "NAME", "STATE", "SCOPES", "PRINCIPAL", "EXPIRES"),
        [
            (
                record.key_id,
                record.name,
                record.state(now).value,
                ",".join(scope_words(record.scopes)),
                f"key:{record.principal}",
                "never" if record.expires is None else instant(record.expires),
            )
            for record in records
        ],
    )
