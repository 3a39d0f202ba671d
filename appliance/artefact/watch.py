"""Detects changes to the files of an engine while it uses them. It does not write to them.

Weights are memory-mapped: overwriting a file in place changes the answers of a running engine, without any error.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

from appliance.artefact.folder import check_file
from appliance.artefact.manifest import FileEntry
from appliance.errors import IntegrityError

_PERIOD_S = 10.0
_log = logging.getLogger(__name__)
# Device, inode, size, and modification times of content and inode in ns.
_Mark = tuple[int, int, int, int, int]


class FileWatch:
    """Checks every file periodically: its metadata, and its digest if the metadata changed since the last check."""

    def __init__(self, folders: Mapping[Path, Iterable[FileEntry]], period_s: float = _PERIOD_S) -> None:
        """Record the files' metadata. Create the watch before the files are verified, so that no change is missed.

        Args:
            folders: the files to watch, by their folders.
            period_s: seconds between two checks.
        """
        # A folder may be relative to the current folder.
        self._files = [(folder.absolute(), entry) for folder, entries in folders.items() for entry in entries]
        self._period_s = period_s
        self._marks = {file: _mark(*file) for file in self._files}
        self._changed: frozenset[Path] = frozenset()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="files", daemon=True)

    @property
    def changed(self) -> frozenset[Path]:
        """The files that differ from their entries."""
        return self._changed

    def start(self) -> None:
        """Start checking, in a thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop checking."""
        self._stop.set()

    def look(self) -> None:
        """Check all files once."""
        for file in self._files:
            mark = _mark(*file)
            if mark == self._marks[file]:
                continue
            self._marks[file] = mark
            folder, entry = file
            try:
                check_file(folder, entry)
            except (IntegrityError, OSError) as error:
                self._changed |= {folder / entry.name}
                _log.critical("the model changed while it is served: %s", error)
            else:
                self._changed -= {folder / entry.name}

    def _run(self) -> None:
        while not self._stop.wait(self._period_s):
            self.look()


def _mark(folder: Path, entry: FileEntry) -> _Mark | None:
    try:
        found = (folder / entry.name).lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
