"""The box's secret key, which signs the records of plans that were built here. It never leaves the box."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from appliance import durable
from appliance.artefact.folder import open_regular
from appliance.errors import IntegrityError

_KEY_BYTES = 32
_MODE = 0o600


@dataclass(frozen=True)
class BoxKey:
    """Signs bytes with HMAC-SHA256 (RFC 2104)."""

    secret: bytes = field(repr=False)

    @classmethod
    def open(cls, path: Path) -> BoxKey:
        """Read the key.

        Raises:
            IntegrityError: the key is missing or malformed, or other users can read it.
        """
        try:
            descriptor = open_regular(path)
        except FileNotFoundError as error:
            raise IntegrityError(
                f"{path} is missing: no plan was built on this box", hint="build the plan on this box"
            ) from error
        with os.fdopen(descriptor, "rb") as stream:
            mode = os.fstat(descriptor).st_mode & 0o777
            secret = stream.read(_KEY_BYTES + 1)
        if mode & 0o077:
            raise IntegrityError(
                f"{path} has mode {mode:o}: other users may have read it",
                hint="delete the file and build the plans again",
            )
        if len(secret) != _KEY_BYTES:
            raise IntegrityError(
                f"{path} is not a key of {_KEY_BYTES} bytes", hint="delete the file and build the plans again"
            )
        return cls(secret)

    @classmethod
    def open_or_create(cls, path: Path) -> BoxKey:
        """Read the key; create it if there is none.

        Raises:
            IntegrityError: see `open`.
        """
        with suppress(FileExistsError):
            if not path.exists():
                durable.create(path, secrets.token_bytes(_KEY_BYTES), _MODE)
        return cls.open(path)

    def sign(self, content: bytes) -> str:
        """The signature in hexadecimal digits."""
        return hmac.new(self.secret, content, hashlib.sha256).hexdigest()

    def is_signed(self, content: bytes, signature: str) -> bool:
        """Whether `sign` made the signature from these bytes, compared in constant time."""
        return hmac.compare_digest(self.sign(content).encode(), signature.encode())
