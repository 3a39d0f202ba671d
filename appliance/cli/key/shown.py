"""Prints keys: the record for scripts, and a new key's secret once."""

from __future__ import annotations

from typing import Any

import click

from appliance.auth.api_key import ApiKey
from appliance.auth.key_record import KeyRecord, instant
from appliance.auth.scope import scope_words
from appliance.cli.output import print_json, tell


def document(record: KeyRecord, now: int) -> dict[str, Any]:
    """The record for scripts, without the key's digest."""
    fields = record.to_fields()
    del fields["sha256"]
    return {**fields, "state": record.state(now).value}


def show_once(key: ApiKey, record: KeyRecord, now: int, *, as_json: bool) -> None:
    """Print a new key. Without --json, standard output gets only the key itself, so that a script can read it."""
    if as_json:
        print_json({**document(record, now), "key": key.to_text()})
        return
    ends = "never" if record.expires is None else instant(record.expires)
    scopes = ", ".join(scope_words(record.scopes))
    tell(f"created key {record.key_id} ({record.name}), scopes: {scopes}, expires: {ends}. It is shown only once:")
    click.echo(key.to_text())
