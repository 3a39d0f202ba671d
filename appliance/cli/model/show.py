"""`appliance model show`."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import click

from appliance.artefact.folder import read_manifest
from appliance.artefact.manifest import EMBEDDING, RERANKING, TEXT_GENERATION
from appliance.catalog import Catalogue, ModelEntry
from appliance.catalog.entry import CrossCheck
from appliance.catalog.parse import entry_to_document
from appliance.cli.box import Box
from appliance.cli.model.completion import known_names
from appliance.cli.output import json_option, print_json, table
from appliance.errors import ApplianceError, IntegrityError, UnknownModelError
from appliance.layout import Layout
from appliance.sizes import size
from appliance.store import ArtefactStore, StoredModel, open_model

# The figure of each task's quality report that decides whether the export is installed.
_FIGURES: Mapping[str, tuple[str, str]] = {
    TEXT_GENERATION: ("mean_kl", "mean KL"),
    EMBEDDING: ("lowest_cosine", "lowest cosine"),
    RERANKING: ("largest_difference", "largest difference"),
}


@click.command("show")
@click.argument("name", shell_complete=known_names)
@json_option
@click.pass_obj
def command(box: Box, name: str, as_json: bool) -> None:
    """Show the details of a model.

    The command prints files, digests, licence and provenance, and the quality of each export.
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
            document["cross_checks"] = [asdict(check) for check in source.cross_checks]
        if stored:
            document |= {"origin": stored.record.origin, "pulled_at": stored.record.pulled_at.isoformat()}
            for file in document["files"]:
                file["path"] = str(stored.files[file["name"]])
        document["exports"] = [asdict(each) for each in _exports(box.layout, name)]
        print_json(document)
        return
    rows = _facts(entry, stored)
    if source:
        wheels = "1 wheel" if len(source.wheels) == 1 else f"{len(source.wheels)} wheels"
        rows.append(("download", f"{size(source.download_bytes)} in {wheels} of the package index"))
        rows += [("cross-check", _same(check, entry)) for check in source.cross_checks]
    rows += [
        ("exported", f"{export.variant}: {export.fault or export.figure}") for export in _exports(box.layout, name)
    ]
    table(None, rows)
    click.echo(f"\n{textwrap.fill(' '.join(entry.provenance.split()), width=100)}\n")
    table(("FILE", "SIZE", "SHA256"), [(file.name, size(file.size_bytes), file.sha256) for file in entry.files])


@dataclass(frozen=True)
class _Export:
    """An artefact of the model: its target and preset, and its quality or why its manifest cannot be read."""

    variant: str
    quality: Mapping[str, Any]
    figure: str = ""
    fault: str = ""


def _exports(layout: Layout, name: str) -> list[_Export]:
    store = ArtefactStore(layout)
    return [_export(store, name, variant) for model, variant in store.every() if model == name]


def _export(store: ArtefactStore, name: str, variant: str) -> _Export:
    folder = store.releases(name, variant).current()
    try:
        if folder is None:
            raise IntegrityError("the link to the current artefact leads nowhere")
        manifest = read_manifest(folder)
    except ApplianceError as error:
        return _Export(variant, {}, fault=error.message)
    key, label = _FIGURES[manifest.task_name]
    return _Export(variant, manifest.quality, f"{label} {manifest.quality.get(key, 'unknown')}")


def _same(check: CrossCheck, entry: ModelEntry) -> str:
    has_all = set(check.files) >= {file.name for file in entry.files}
    files = "all files" if has_all else ", ".join(check.files)
    return f"{check.package} {check.version}, by another author, has the same bytes in {files}"


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
