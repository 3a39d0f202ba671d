"""Installs a checkpoint from a local folder in the Hugging Face layout, or from one GGUF file."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path, PurePath
from shlex import quote

from appliance.catalog import ModelEntry, ModelFile, Trust
from appliance.catalog.entry import Conversation
from appliance.catalog.parse import check_file_name
from appliance.disk import Need, check_space
from appliance.errors import IntegrityError, SourceError, UsageError
from appliance.layout import Layout
from appliance.lock import locked
from appliance.names import check_name
from appliance.sources.described import Describe, Described
from appliance.sources.folder import LocalCheckpoint, check_content, content_of
from appliance.sources.formats import WEIGHT_SUFFIXES
from appliance.sources.pull import WAITING, Reporter, find_whole
from appliance.store import Blobs, ModelRecord, StoredModel, open_model, record

UNKNOWN = "unknown"
FIRST_USE = "Trusted on first use. Imported from a local folder; the digests are those of the bytes found there."


def pull_local(
    layout: Layout,
    place: Path,
    reporter: Reporter,
    *,
    entry: ModelEntry | None = None,
    name: str = "",
    conversation: Conversation | None = None,
    describe: Describe = lambda _files, _conversation: None,
) -> StoredModel:
    """Install a model from a local folder or GGUF file.

    Args:
        layout: the box's folders.
        place: the folder or file.
        reporter: receives progress and messages.
        entry: the expected model; every file must match. None accepts any model, under `name`.
        name: the name for a model that is not in the catalogue.
        conversation: how the model without an entry converses; None if its template and tokens show it.
        describe: reads the model without an entry before it is copied.

    Raises:
        UsageError: another model of this name is installed, or a file has an unsafe name.
        SourceError: a file is missing from the folder.
        IntegrityError: a file does not match the catalogue or is unsafe; it is not added to the store.
        NoSpaceError: the disk is too small; nothing was written.
        UnsupportedError: the model is an adapter; others: see `describe`; nothing was written.
    """
    extra = frozenset(file.name for file in entry.files) if entry else frozenset[str]()
    checkpoint = LocalCheckpoint.open(place, extra)
    if checkpoint.left_out:
        reporter.say(f"not installed: {', '.join(checkpoint.left_out)}")
    wanted: list[tuple[str, Path, ModelFile | None]] = []
    described = None
    other_file = (
        "this is not the file in the catalogue: get it again; or install it as your own model: "
        f"appliance model pull --from {quote(str(place))} --name NEW_NAME"
    )
    if entry is not None:
        present = find_whole(layout, entry, reporter)
        if present is not None:
            return present
        wanted += [(file.name, _match(checkpoint, file, other_file), file) for file in entry.files]
    else:
        _check_free_name(layout, name)
        wanted += [(check_file_name(file), path, None) for file, path in checkpoint.files.items()]
        described = _described(checkpoint, conversation, describe, reporter)
    # Text files first: their faults are found before gigabytes are copied.
    wanted.sort(key=lambda item: (PurePath(item[0]).suffix.lower() in WEIGHT_SUFFIXES, item[0]))
    total = sum(path.stat().st_size for _, path, _ in wanted)
    check_space([Need("store", layout.store, total)])
    blobs = Blobs(layout.store)
    with locked(blobs.lock, waiting=lambda: reporter.say(WAITING)):
        blobs.sweep()
        with reporter.progress(f"storing {entry.name if entry else name}", total) as advance:
            files = [
                blobs.add(known, content_of(known, path), file, advance, hint=other_file)
                for known, path, file in wanted
            ]
        if entry is None:
            _check_free_name(layout, name)
            entry = _entry(name, tuple(files), conversation, described)
        record(layout, ModelRecord(entry, f"local: {checkpoint.place}", datetime.now(timezone.utc)))
    return open_model(layout, entry.name)


def _match(checkpoint: LocalCheckpoint, file: ModelFile, other_file: str) -> Path:
    """The path of a file of the catalogue. What shows without hashing that it is another file is checked here."""
    path = checkpoint.find(file.name)
    if path is None:
        raise SourceError(
            f"{checkpoint.place} has no {file.name}, which the catalogue lists for this model",
            hint="put the file there, or give another folder; or install what is there as your own model: "
            f"appliance model pull --from {quote(str(checkpoint.place))} --name NEW_NAME",
        )
    check_content(file.name, path)
    size_bytes = path.stat().st_size
    if size_bytes != file.size_bytes:
        raise IntegrityError(
            f"{path} has {size_bytes} bytes, but {file.name} in the catalogue has {file.size_bytes}", hint=other_file
        )
    return path


def _check_free_name(layout: Layout, name: str) -> None:
    if (layout.models / f"{check_name(name, 'model')}.json").exists():
        raise UsageError(
            f"a model {name!r} is already installed", hint=f"choose another name, or: appliance model remove {name}"
        )


def _described(
    checkpoint: LocalCheckpoint, conversation: Conversation | None, describe: Describe, reporter: Reporter
) -> Described | None:
    """Check the model before gigabytes are copied: first that it is safe to read, then that it can be exported."""
    for name, path in checkpoint.files.items():
        check_content(name, path)
    reporter.say(f"reading {checkpoint.place}")
    described = describe(checkpoint.files, conversation)
    if described is not None:
        for note in described.notes:
            reporter.say(f"note: {note}")
        reporter.say(described.summary)
    return described


def _entry(
    name: str, files: tuple[ModelFile, ...], conversation: Conversation | None, described: Described | None
) -> ModelEntry:
    return ModelEntry(
        name=name,
        maker=UNKNOWN,
        architecture=described.architecture if described else UNKNOWN,
        licence=UNKNOWN,
        context_tokens=described.context_tokens if described else None,
        trust=Trust.FIRST_USE,
        provenance=FIRST_USE,
        files=files,
        conversation=conversation,
    )
