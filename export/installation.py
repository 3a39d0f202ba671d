"""Creates the manifest from finished stages, and makes the artefact the current release atomically."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from appliance import __version__
from appliance.artefact.folder import check_files
from appliance.artefact.manifest import MANIFEST_NAME, FileEntry, Manifest
from appliance.catalog import ModelEntry
from appliance.errors import IntegrityError
from appliance.names import check_name, variant
from appliance.releases import Releases
from appliance.store import ArtefactStore
from export.generation import SETTINGS
from export.progress import Progress
from export.stages import StageResult
from export.versions import MEASURING, versions

_PIECE_BYTES = 1 << 20
_NAME_DIGITS = 32


def manifest_of(
    outline: Manifest, entry: ModelEntry, results: Iterable[StageResult], quality: Mapping[str, Any]
) -> Manifest:
    """The artefact's manifest. Equal stages give equal manifests: it contains no time, path or machine.

    Args:
        outline: describes task and graph.
        entry: the model in the store.
        results: the stages whose files are those of the artefact.
        quality: the figures of the quality report.
    """
    # The settings are a part of the manifest, not a file of the artefact.
    files = (file for result in results for file in result.files if file.name != SETTINGS)
    return replace(
        outline,
        files=tuple(sorted(files, key=lambda file: file.name)),
        versions={"appliance": __version__, **versions(MEASURING)},
        quality=quality,
        provenance=" ".join(entry.provenance.split()),
        license=entry.licence,
        maker=entry.maker,
    )


@dataclass(frozen=True)
class Installed:
    """An artefact that is the current release of its variant.

    Attributes:
        folder: where it is.
        was_there: it was current already.
    """

    folder: Path
    was_there: bool


def install(store: ArtefactStore, manifest: Manifest, results: Iterable[StageResult], progress: Progress) -> Installed:
    """Make the artefact the current release atomically, unless it is current already; prune older releases.

    The manifest is parsed before the installation: `up` must be able to read it.

    Raises:
        IntegrityError: a stage's file changed since it was verified, or the manifest cannot be parsed.
    """
    content = manifest.to_bytes()
    Manifest.from_bytes(content)
    name = hashlib.sha256(content).hexdigest()[:_NAME_DIGITS]
    model, kind = check_name(manifest.model, "model"), variant(manifest.target, manifest.preset)
    with store.changing(model, kind, lambda: progress.note("waiting for another export to be installed")) as releases:
        folder = releases.current()
        was_there = folder is not None and _is_whole(folder, manifest)
        if folder is None or not was_there:
            folder = _make_current(releases, name, manifest, results, progress)
        # This also removes releases that an interrupted installation left.
        releases.prune()
        return Installed(folder, was_there)


def _make_current(
    releases: Releases, name: str, manifest: Manifest, results: Iterable[StageResult], progress: Progress
) -> Path:
    kept = releases.find(name)
    if kept is not None and _is_whole(kept, manifest):
        releases.switch(kept)
        return kept
    with releases.staged(name) as staged:
        _fill(staged, manifest, results, progress)
        return releases.publish(staged)


def _fill(staged: Path, manifest: Manifest, results: Iterable[StageResult], progress: Progress) -> None:
    sources = {file.name: result.file(file.name) for result in results for file in result.files}
    total = sum(entry.size_bytes for entry in manifest.files)
    done = 0
    progress.step("install", 0, total)
    for entry in manifest.files:
        _copy(sources[entry.name], staged / entry.name, entry)
        done += entry.size_bytes
        progress.step("install", done, total)
    (staged / MANIFEST_NAME).write_bytes(manifest.to_bytes())


def _is_whole(folder: Path, manifest: Manifest) -> bool:
    """Whether the folder contains exactly this manifest's artefact, byte for byte."""
    try:
        if (folder / MANIFEST_NAME).read_bytes() != manifest.to_bytes():
            return False
        check_files(folder, manifest)
    except (OSError, IntegrityError):
        return False
    return True


def _copy(source: Path, copy: Path, entry: FileEntry) -> None:
    """Copy a file and hash the copied bytes. A hard link would connect the artefact with the cache."""
    digest = hashlib.sha256()
    with source.open("rb") as stream, copy.open("xb") as target:
        while piece := stream.read(_PIECE_BYTES):
            digest.update(piece)
            target.write(piece)
    if digest.hexdigest() != entry.sha256:
        raise IntegrityError(f"{source} changed while it was copied", hint="export again")
