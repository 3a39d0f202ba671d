"""`appliance model pull`."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.catalog import Catalogue
from appliance.cli.box import Box
from appliance.cli.model.completion import known_names
from appliance.cli.output import json_option, print_json, size, tell
from appliance.cli.progress import progress
from appliance.errors import UsageError
from appliance.sources import PipSettings, Reporter, pull, pull_local
from appliance.store import StoredModel


@click.command("pull")
@click.argument("name", required=False, default="", shell_complete=known_names)
@click.option(
    "--from",
    "place",
    type=click.Path(path_type=Path),
    help="Take it from this folder or GGUF file, not from the index.",
)
@click.option("--name", "new_name", default="", help="With --from: install it under this name, whatever it is.")
@json_option
@click.pass_obj
def command(box: Box, name: str, place: Path | None, new_name: str, as_json: bool) -> None:
    """Fetch a model, verify it, and install it.

    A model of the catalogue must match its digests. An interrupted pull goes on where it stopped.
    """
    stored = _pull(box, name, place, new_name)
    if as_json:
        files = {file.name: file.sha256 for file in stored.entry.files}
        print_json({"name": stored.name, "size_bytes": stored.entry.size_bytes, "files": files})
    else:
        click.echo(f"{stored.name} is installed ({size(stored.entry.size_bytes)}, every digest checked)")


def _pull(box: Box, name: str, place: Path | None, new_name: str) -> StoredModel:
    if bool(name) == bool(new_name):
        raise UsageError(
            "name one model",
            hint="appliance model pull NAME [--from DIR], or: appliance model pull --from DIR --name NEW",
        )
    reporter = Reporter(progress=progress, say=tell)
    catalogue = Catalogue.load(box.layout.catalogue)
    if not new_name:
        entry = catalogue.get(name)
        if place is None:
            return pull(box.layout, entry, reporter, PipSettings.read(box.config.sources.index_url))
        return pull_local(box.layout, place, reporter, entry=entry)
    if place is None:
        raise UsageError("--name goes with --from", hint="a model of the catalogue is pulled by its own name")
    if catalogue.find(new_name):
        raise UsageError(
            f"{new_name!r} is a model of the catalogue",
            hint=f"choose another name, or let its digests be checked: appliance model pull {new_name} --from {place}",
        )
    return pull_local(box.layout, place, reporter, name=new_name)
