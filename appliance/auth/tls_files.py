"""The certificate files of a server, and whether they changed. It does not parse them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TlsFiles:
    """The paths of a server's TLS files, all PEM.

    Attributes:
        certificate: the server's certificate, and the chain from it to its CA.
        private_key: its key.
        client_ca: the CA that signs clients' certificates; None: the server does not ask clients for a certificate.
        requires_client: whether the TLS handshake fails for a client without a certificate.
    """

    certificate: Path
    private_key: Path
    client_ca: Path | None = None
    requires_client: bool = False

    def mark(self) -> tuple[tuple[int, int, int], ...]:
        """A value that changes when any of the files is replaced or written.

        Raises:
            OSError: a file is absent.
        """
        paths = [self.certificate, self.private_key, *([self.client_ca] if self.client_ca else [])]
        found = [path.stat() for path in paths]
        return tuple((one.st_ino, one.st_size, one.st_mtime_ns) for one in found)
