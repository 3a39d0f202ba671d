"""Certificates for tests, made by the product's own site CA and written where a box expects them."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from appliance.auth.policy import CA_CERTIFICATE, SERVER_CERTIFICATE, SERVER_KEY
from appliance.auth.site_ca import Issued, SiteCa
from appliance.auth.tls_files import TlsFiles
from appliance.cli.tls.files import write_pair


class Site:
    """A site CA, and the folder of a box that it signs for."""

    def __init__(self, folder: Path) -> None:
        self.ca = SiteCa.new(datetime.now(timezone.utc))
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.ca_path = folder / CA_CERTIFICATE
        self.ca_path.write_bytes(self.ca.to_issued().certificate)

    def server(self, *names: str) -> Issued:
        """Make a server certificate and put it into place."""
        pair = self.ca.issue_server(names or ("localhost", "127.0.0.1"), datetime.now(timezone.utc), 30)
        write_pair(pair, self.folder / SERVER_CERTIFICATE, self.folder / SERVER_KEY)
        return pair

    def client(self, name: str) -> tuple[Path, Path]:
        """Make a client certificate; gives its file and its key's."""
        pair = self.ca.issue_client(name, datetime.now(timezone.utc), 30)
        paths = (self.folder / f"{name}.pem", self.folder / f"{name}.key")
        write_pair(pair, *paths)
        return paths

    def tls_files(self, client_ca: Path | None = None, *, requires_client: bool = False) -> TlsFiles:
        return TlsFiles(self.folder / SERVER_CERTIFICATE, self.folder / SERVER_KEY, client_ca, requires_client)
