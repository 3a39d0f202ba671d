"""The file of a box's keys. Writers hold a lock. A reader checks at each call whether the file has changed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from appliance import durable
from appliance.auth.keyring import Keyring
from appliance.errors import IntegrityError
from appliance.lock import locked

_MODE = 0o600
_LOCK_NAME = "keys.lock"
Result = TypeVar("Result")


class KeyFile:
    """`<root>/keys/keys.json`, read again when its inode, size or modification time has changed since the last call."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int, int] | None = None
        self._keyring: Keyring | None = None

    def keyring(self) -> Keyring | None:
        """The current keys; None if the file does not exist. If the file has not changed, this is one system call.

        Raises:
            IntegrityError: the file exists but cannot be used. No key is accepted then.
        """
        try:
            found = self.path.stat()
            mark = (found.st_ino, found.st_size, found.st_mtime_ns)
            if mark != self._seen:
                self._keyring = Keyring.from_bytes(self.path.read_bytes())
                self._seen = mark
        except FileNotFoundError:
            self._seen = self._keyring = None
        except (OSError, ValueError) as error:
            self._seen = None
            raise IntegrityError(
                f"{self.path} cannot be used: {error}", hint="restore the file, or delete it and create new keys"
            ) from error
        return self._keyring

    def update(self, change: Callable[[Keyring], tuple[Keyring, Result]]) -> Result:
        """Apply a change to the current keys, and write the result.

        Raises:
            IntegrityError: the file exists but cannot be used.
        """
        folder = self.path.parent
        durable.make_folder(folder)
        os.chmod(folder, 0o700)  # noqa: PTH101 - the folder may have been made by somebody else's umask
        with locked(folder / _LOCK_NAME):
            keyring, result = change(self.keyring() or Keyring())
            durable.replace(self.path, keyring.to_bytes(), _MODE)
        return result
