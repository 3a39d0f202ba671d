"""Detects changes to an artefact's files while an engine uses them. It does not write to them.

Weights are memory-mapped: overwriting a file in place changes the answers of a running engine, without any error.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from appliance.artefact.folder import check_file
from appliance.artefact.manifest import FileEntry, Manifest
from appliance.errors import IntegrityError

_PERIOD_S = 10.0
_log = logging.getLogger(__name__)
# Device, inode, size, and modification times of content and inode in ns.
_Mark = tuple[int, int, int, int, int]


class ArtefactWatch:
    """Checks every file periodically: its metadata, and its digest if the metadata changed since the last check."""

    def __init__(self, folder: Path, manifest: Manifest, period_s: float = _PERIOD_S) -> None:
        """Record the files' metadata. Create the watch before the files are verified, so that no change is missed."""
        # The folder may be relative to the current folder.
        self._folder = folder.absolute()
        self._entries = manifest.files
        self._period_s = period_s
        self._marks = {entry: self._mark(entry) for entry in self._entries}
        self._changed: frozenset[str] = frozenset()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="files", daemon=True)

    @property
    def changed(self) -> frozenset[str]:
        """Names of the files that differ from the manifest."""
        return self._changed

    def start(self) -> None:
        """Start checking, in a thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop checking."""
        self._stop.set()

    def look(self) -> None:
        """Check all files once."""
        for entry in self._entries:
            mark = self._mark(entry)
            if mark == self._marks[entry]:
                continue
            self._marks[entry] = mark
            try:
                check_file(self._folder, entry)
            except (IntegrityError, OSError) as error:
                self._changed |= {entry.name}
                _log.critical("the model changed while it is served: %s", error)
            else:
                self._changed -= {entry.name}

    def _run(self) -> None:
        while not self._stop.wait(self._period_s):
            self.look()

    def _mark(self, entry: FileEntry) -> _Mark | None:
        try:
            found = (self._folder / entry.name).lstat()
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
