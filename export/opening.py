"""Opens an installed model for its export: one export at a time, and only with files that match their digests."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from appliance.errors import NoSpaceError
from appliance.layout import Layout
from appliance.lock import locked
from appliance.store import StoredModel, open_model
from export.checkpoint import open_checkpoint
from export.job import Job
from export.progress import Progress
from export.stages import Stages


@contextmanager
def opened(layout: Layout, model: str, target: str, progress: Progress) -> Iterator[Job]:
    """Verify the model's files, and yield its job while this process holds the lock of the stages.

    Raises:
        UnknownModelError: no such model.
        IntegrityError: the stored files have changed.
        UnsupportedError: the checkpoint has an unsupported format.
        NoSpaceError: the disk became full in the context.
    """
    stored = open_model(layout, model)
    with locked(layout.stages / "lock", waiting=lambda: progress.note("waiting until another export has finished")):
        stages = Stages(layout.stages)
        stages.sweep()
        _verify(stored, progress)
        try:
            yield Job(stored, open_checkpoint(stored.files), target, stages, progress)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise NoSpaceError(f"the disk became full: {error}", hint="free some space and export again") from error


def _verify(stored: StoredModel, progress: Progress) -> None:
    total = stored.entry.size_bytes
    done = 0

    def advance(size_bytes: int) -> None:
        nonlocal done
        done += size_bytes
        progress.step("verify", done, total)

    progress.step("verify", 0, total)
    stored.verify(advance)
