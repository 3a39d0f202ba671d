"""Certificates and keys on disk: the box's site CA, and certificates with keys that other users can never read."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from appliance import durable
from appliance.auth.policy import CA_CERTIFICATE, CA_KEY
from appliance.auth.site_ca import Issued, SiteCa
from appliance.errors import IntegrityError

_KEY_MODE = 0o600


def write_pair(pair: Issued, certificate: Path, private_key: Path) -> None:
    """Write a certificate and its key. A server that reads only one new file keeps its old pair until both match."""
    durable.replace(private_key, pair.private_key, _KEY_MODE)
    durable.replace(certificate, pair.certificate)


def read_ca(folder: Path) -> SiteCa | None:
    """The site CA in the folder; None if there is none.

    Raises:
        IntegrityError: one of its two files is missing or cannot be read.
    """
    paths = (folder / CA_CERTIFICATE, folder / CA_KEY)
    present = [path.exists() for path in paths]
    if not any(present):
        return None
    if not all(present):
        missing = paths[present.index(False)]
        raise IntegrityError(
            f"{missing} is missing", hint=f"restore the file, or move the other CA files out of {folder}"
        )
    return SiteCa.from_issued(Issued(paths[0].read_bytes(), paths[1].read_bytes()))


def ensure_ca(folder: Path, now: datetime) -> tuple[SiteCa, bool]:
    """The site CA in the folder, created if there is none; and whether it was created."""
    found = read_ca(folder)
    if found is not None:
        return found, False
    made = SiteCa.new(now)
    write_pair(made.to_issued(), folder / CA_CERTIFICATE, folder / CA_KEY)
    return made, True
