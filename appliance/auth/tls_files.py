"""Which certificate files a server uses, and whether they changed. It parses none of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TlsFiles:
    """A server's certificate, all PEM.

    Attributes:
        certificate: the server's certificate, and what leads from it to its CA.
        private_key: its key.
        client_ca: who signs clients' certificates; None: clients are not asked for one.
        requires_client: whether a client without a certificate is refused at the handshake.
    """

    certificate: Path
    private_key: Path
    client_ca: Path | None = None
    requires_client: bool = False

    def mark(self) -> tuple[tuple[int, int, int], ...]:
        """A value that differs after any of the files was replaced or written.

        Raises:
            OSError: one is absent.
        """
        paths = [self.certificate, self.private_key, *([self.client_ca] if self.client_ca else [])]
        found = [path.stat() for path in paths]
        return tuple((one.st_ino, one.st_size, one.st_mtime_ns) for one in found)
