"""Key ids for the shell's completion. It never fails: a broken file completes nothing."""

from __future__ import annotations

import click

from appliance.auth.key_file import KeyFile
from appliance.cli.box import Box
from appliance.errors import ApplianceError


def key_ids(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Ids of keys that were not revoked and begin so."""
    # Completion parses the words but runs no command, so the root has not made its box.
    box = context.find_object(Box) or Box.from_environment(context.find_root().params.get("root"))
    try:
        keyring = KeyFile(box.layout.keys).keyring()
    except ApplianceError:
        return []
    records = keyring.records if keyring else ()
    return [one.key_id for one in records if one.revoked is None and one.key_id.startswith(incomplete)]
