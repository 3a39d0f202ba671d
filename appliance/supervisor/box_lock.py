"""The lock that prevents a second supervisor of the same box."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance import durable
from appliance.errors import UsageError
from appliance.supervisor import state

_NAME = "up.lock"


@contextmanager
def hold(run: Path) -> Iterator[bool]:
    """Hold the box's lock; yields whether an earlier run left a state file, which is then removed.

    Raises:
        UsageError: another process holds the lock.
    """
    durable.make_folder(run)
    descriptor = os.open(run / _NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            running = state.read(run)
            who = f" {', '.join(running.names)} (process {running.pid})" if running else ""
            raise UsageError(
                f"this box is already serving{who}", hint="stop it first, or use another folder with --root"
            ) from error
        is_stale = (run / state.STATE_NAME).exists()
        state.remove(run)
        yield is_stale
    finally:
        os.close(descriptor)
