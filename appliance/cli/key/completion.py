"""Completes key ids in the shell. It never fails: with a damaged file, it offers no ids."""

from __future__ import annotations

import click

from appliance.auth.key_file import KeyFile
from appliance.cli.box import Box
from appliance.errors import ApplianceError


def key_ids(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Ids of keys that are not revoked and have this prefix."""
    # Completion parses the command line but runs no command, so the root has not created its box.
    box = context.find_object(Box) or Box.from_environment(context.find_root().params.get("root"))
    try:
        keyring = KeyFile(box.layout.keys).keyring()
    except ApplianceError:
        return []
    records = keyring.records if keyring else ()
    return [one.key_id for one in records if one.revoked is None and one.key_id.startswith(incomplete)]
