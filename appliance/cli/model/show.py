"""`appliance model show`."""

from __future__ import annotations

import textwrap

import click

from appliance.catalog import Catalogue, ModelEntry
from appliance.catalog.parse import entry_to_document
from appliance.cli.box import Box
from appliance.cli.model.completion import known_names
from appliance.cli.output import json_option, print_json, table
from appliance.errors import UnknownModelError
from appliance.sizes import size
from appliance.store import StoredModel, open_model


@click.command("show")
@click.argument("name", shell_complete=known_names)
@json_option
@click.pass_obj
def command(box: Box, name: str, as_json: bool) -> None:
    """Show the details of a model.

    The command prints files, digests, licence and provenance.
    """
    try:
        stored = open_model(box.layout, name)
    except UnknownModelError:
        stored = None
    catalogue = Catalogue.load(box.layout.catalogue)
    entry = stored.entry if stored else catalogue.get(name)
    known = catalogue.find(name)
    source = known.source if known else None
    if as_json:
        document = entry_to_document(entry) | {"state": "installed" if stored else "available"}
        if source:
            document["download_bytes"] = source.download_bytes
        if stored:
            document |= {"origin": stored.record.origin, "pulled_at": stored.record.pulled_at.isoformat()}
            for file in document["files"]:
                file["path"] = str(stored.files[file["name"]])
        print_json(document)
        return
    rows = _facts(entry, stored)
    if source:
        wheels = "1 wheel" if len(source.wheels) == 1 else f"{len(source.wheels)} wheels"
        rows.append(("download", f"{size(source.download_bytes)} in {wheels} of the package index"))
    table(None, rows)
    click.echo(f"\n{textwrap.fill(' '.join(entry.provenance.split()), width=100)}\n")
    table(("FILE", "SIZE", "SHA256"), [(file.name, size(file.size_bytes), file.sha256) for file in entry.files])


def _facts(entry: ModelEntry, stored: StoredModel | None) -> list[tuple[str, str]]:
    rows = [
        ("name", entry.name),
        ("maker", entry.maker),
        ("architecture", entry.architecture),
        ("licence", entry.licence),
        ("context", f"{entry.context_tokens} tokens" if entry.context_tokens else "unknown"),
        ("trust", entry.trust.value),
        ("state", "installed" if stored else "available"),
    ]
    if stored:
        rows += [("origin", stored.record.origin), ("pulled at", f"{stored.record.pulled_at:%Y-%m-%d %H:%M} UTC")]
    return rows
