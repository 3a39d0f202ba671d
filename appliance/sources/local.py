"""Installs a checkpoint from a local folder in the Hugging Face layout, or from one GGUF file."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path, PurePath
from typing import Any

from appliance.catalog import ModelEntry, ModelFile, Trust
from appliance.catalog.parse import check_file_name
from appliance.disk import Need, check_space
from appliance.errors import SourceError, UsageError
from appliance.layout import Layout
from appliance.lock import locked
from appliance.names import check_name
from appliance.sources.folder import LocalCheckpoint, content_of
from appliance.sources.formats import WEIGHT_SUFFIXES
from appliance.sources.pull import WAITING, Reporter, find_whole
from appliance.store import Blobs, ModelRecord, StoredModel, open_model, record

UNKNOWN = "unknown"
# Limits of a configuration's values in the list of models; the export checks them strictly.
_MAX_ARCHITECTURE = 96
_MAX_CONTEXT = 1 << 24
FIRST_USE = "Trusted on first use. Imported from a local folder; the digests are those of the bytes found there."


def pull_local(
    layout: Layout,
    place: Path,
    reporter: Reporter,
    *,
    entry: ModelEntry | None = None,
    name: str = "",
) -> StoredModel:
    """Install a model from a local folder or GGUF file.

    Args:
        layout: the box's folders.
        place: the folder or file.
        reporter: receives progress and messages.
        entry: the expected model; every file must match. None accepts any model, under `name`.
        name: the name for a model that is not in the catalogue.

    Raises:
        UsageError: another model of this name is installed.
        SourceError: a file is missing from the folder.
        IntegrityError: a file does not match the catalogue or is unsafe; it is not added to the store.
        NoSpaceError: the disk is too small; nothing was written.
    """
    extra = frozenset(file.name for file in entry.files) if entry else frozenset[str]()
    checkpoint = LocalCheckpoint.open(place, extra)
    if checkpoint.left_out:
        reporter.say(f"not installed: {', '.join(checkpoint.left_out)}")
    wanted: list[tuple[str, Path, ModelFile | None]] = []
    if entry is not None:
        present = find_whole(layout, entry, reporter)
        if present is not None:
            return present
        wanted += [(file.name, _match(checkpoint, file, place), file) for file in entry.files]
    else:
        _check_free_name(layout, name)
        wanted += [(check_file_name(file), path, None) for file, path in checkpoint.files.items()]
    # Text files first: their faults are found before gigabytes are copied.
    wanted.sort(key=lambda item: (PurePath(item[0]).suffix.lower() in WEIGHT_SUFFIXES, item[0]))
    total = sum(path.stat().st_size for _, path, _ in wanted)
    check_space([Need("store", layout.store, total)])
    blobs = Blobs(layout.store)
    with locked(blobs.lock, waiting=lambda: reporter.say(WAITING)):
        blobs.sweep()
        with reporter.progress(f"storing {entry.name if entry else name}", total) as advance:
            files = [blobs.add(known, content_of(known, path), file, advance) for known, path, file in wanted]
        if entry is None:
            _check_free_name(layout, name)
            entry = _describe(name, tuple(files), blobs)
        record(layout, ModelRecord(entry, f"local: {place}", datetime.now(timezone.utc)))
    return open_model(layout, entry.name)


def _match(checkpoint: LocalCheckpoint, file: ModelFile, place: Path) -> Path:
    path = checkpoint.find(file.name)
    if path is None:
        raise SourceError(f"{place} has no {file.name}", hint="the catalogue lists this file for the model")
    return path


def _check_free_name(layout: Layout, name: str) -> None:
    if (layout.models / f"{check_name(name, 'model')}.json").exists():
        raise UsageError(
            f"a model {name!r} is already installed", hint=f"choose another name, or: appliance model remove {name}"
        )


def _describe(name: str, files: tuple[ModelFile, ...], blobs: Blobs) -> ModelEntry:
    settings: dict[str, Any] = {}
    for file in files:
        if file.name == "config.json":
            settings = json.loads(blobs.path(file.sha256).read_bytes())
    architecture, context = settings.get("model_type"), settings.get("max_position_embeddings")
    is_named = isinstance(architecture, str) and 0 < len(architecture) <= _MAX_ARCHITECTURE
    return ModelEntry(
        name=name,
        maker=UNKNOWN,
        architecture=str(architecture) if is_named else UNKNOWN,
        licence=UNKNOWN,
        context_tokens=context if type(context) is int and 0 < context <= _MAX_CONTEXT else None,
        trust=Trust.FIRST_USE,
        provenance=FIRST_USE,
        files=files,
    )
