"""From finished stages to the installed artefact: its manifest, and the one step that puts it in place."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from appliance import __version__, durable
from appliance.artefact.folder import check_files
from appliance.artefact.manifest import MANIFEST_NAME, Conversation, FileEntry, Manifest
from appliance.catalog import ModelEntry
from appliance.errors import IntegrityError
from export.generation import SETTINGS, Settings
from export.job import Job
from export.progress import Progress
from export.recipes import weights_of
from export.stages import StageResult
from export.versions import MEASURING, versions

_PIECE_BYTES = 1 << 20


def manifest_of(job: Job, settings: Settings, results: Iterable[StageResult], quality: Mapping[str, Any]) -> Manifest:
    """The artefact's manifest. Equal stages give equal manifests: it holds no time, path or machine."""
    entry = job.stored.entry
    # The settings are part of the manifest, not a file of the artefact.
    files = sorted((file for result in results for file in result.files), key=lambda file: file.name)
    return Manifest(
        model=job.stored.name,
        target=job.target,
        preset=job.preset.name,
        architecture=job.architecture.name,
        shape=job.shape(settings.tokens),
        generation=settings.generation,
        files=tuple(file for file in files if file.name != SETTINGS),
        inputs=job.inputs,
        options={"target": job.target, "preset": weights_of(job.preset)},
        versions={"appliance": __version__, **versions(MEASURING)},
        quality=quality,
        provenance=" ".join(entry.provenance.split()),
        license=entry.licence,
        conversation=conversation_in(entry) or settings.conversation,
        runtime=job.preset.runtime,
    )


def install(folder: Path, manifest: Manifest, results: Iterable[StageResult], progress: Progress) -> bool:
    """Put the artefact at `folder` in one step, unless the same one is there already.

    The manifest must be one that can be read back: nothing is installed that serving would refuse.

    Returns:
        Whether anything was written.

    Raises:
        IntegrityError: a stage's file changed since it was proved, or the manifest could not be read back.
    """
    Manifest.from_bytes(manifest.to_bytes())
    durable.make_folder(folder.parent)
    for leftover in folder.parent.glob(f"{durable.TEMPORARY_PREFIX}*"):
        shutil.rmtree(leftover)
    if _is_installed(folder, manifest):
        return False
    sources = {file.name: result.file(file.name) for result in results for file in result.files}
    staged = folder.parent / f"{durable.TEMPORARY_PREFIX}{folder.name}"
    staged.mkdir()
    try:
        total = sum(entry.size_bytes for entry in manifest.files)
        done = 0
        progress.step("install", 0, total)
        for entry in manifest.files:
            _copy(sources[entry.name], staged / entry.name, entry)
            done += entry.size_bytes
            progress.step("install", done, total)
        (staged / MANIFEST_NAME).write_bytes(manifest.to_bytes())
        durable.replace_folder(staged, folder)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return True


def conversation_in(entry: ModelEntry) -> Conversation | None:
    """What the catalogue says of the model's conversations; None where it says nothing."""
    known = entry.conversation
    return None if known is None else Conversation(known.tools or "", known.thinking)


def _is_installed(folder: Path, manifest: Manifest) -> bool:
    try:
        if (folder / MANIFEST_NAME).read_bytes() != manifest.to_bytes():
            return False
        check_files(folder, manifest)
    except (OSError, IntegrityError):
        return False
    return True


def _copy(source: Path, copy: Path, entry: FileEntry) -> None:
    """Copy a file, hashing what is copied. No hard link: it would tie the artefact to the cache."""
    digest = hashlib.sha256()
    with source.open("rb") as stream, copy.open("xb") as target:
        while piece := stream.read(_PIECE_BYTES):
            digest.update(piece)
            target.write(piece)
    if digest.hexdigest() != entry.sha256:
        raise IntegrityError(f"{source} changed while it was copied", hint="export again")
