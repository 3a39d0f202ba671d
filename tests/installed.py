"""Puts a checkpoint's files into a store as an installed model, without a source."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from appliance.catalog import ModelEntry, Trust
from appliance.catalog.entry import Conversation
from appliance.layout import Layout
from appliance.lock import locked
from appliance.store import Blobs, ModelRecord, record


def install_checkpoint(
    layout: Layout, name: str, files: dict[str, Path], conversation: Conversation | None = None
) -> None:
    """Install `files` (published name -> path) as the model `name`, of which a catalogue says so much."""
    blobs = Blobs(layout.store)
    with locked(blobs.lock):
        stored = tuple(blobs.add(plain, [path.read_bytes()]) for plain, path in sorted(files.items()))
        entry = ModelEntry(
            name=name,
            maker="tests",
            architecture="qwen2",
            licence="Apache-2.0",
            context_tokens=None,
            trust=Trust.FIRST_USE,
            provenance="made by a test",
            files=stored,
            conversation=conversation,
        )
        record(layout, ModelRecord(entry, "a test", datetime(2026, 1, 1, tzinfo=timezone.utc)))


def files_in(folder: Path) -> dict[str, Path]:
    """The plain files of a folder, by name."""
    return {path.name: path for path in sorted(folder.iterdir()) if path.is_file()}
