"""The server's certificate for HTTP and gRPC. After the files change, the next handshake uses the new certificate.

If a new certificate cannot be used, the error is logged and the old certificate stays in use. So a half-copied file
does not interrupt service.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import grpc

from appliance.auth.tls_files import TlsFiles
from appliance.errors import UsageError
from appliance.gateway.access_log import log

Made = TypeVar("Made")


class _Current(Generic[Made]):
    """The value that was created from the current files."""

    def __init__(self, files: TlsFiles, make: Callable[[TlsFiles], Made]) -> None:
        """Create the first value.

        Raises:
            UsageError: the files cannot be used.
        """
        self._files = files
        self._make = make
        try:
            self._mark = files.mark()
            self.value = make(files)
        except (OSError, ValueError) as error:
            raise UsageError(
                f"{files.certificate} cannot be used: {error}", hint="create a new certificate: appliance tls init"
            ) from error

    def has_changed(self) -> bool:
        """Check the files. If they changed and are valid, create a new value."""
        try:
            mark = self._files.mark()
            if mark == self._mark:
                return False
            # The mark is stored before the attempt, so that an invalid file is logged only once.
            self._mark = mark
            self.value = self._make(self._files)
        except (OSError, ValueError) as error:
            log.error("certificate", extra={"fields": {"error": f"the new one cannot be used: {error}"}})
            return False
        log.info("certificate", extra={"fields": {"file": str(self._files.certificate), "replaced": True}})
        return True


def http_context(files: TlsFiles) -> ssl.SSLContext:
    """Return the context for the HTTP server; each handshake uses the current certificate.

    Raises:
        UsageError: the files cannot be used.
    """
    current = _Current(files, _context)
    outer = _context(files)

    def choose(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        # OpenSSL calls it for each handshake, whether or not the client names a server.
        current.has_changed()
        connection.context = current.value

    outer.sni_callback = choose
    return outer


def grpc_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """Return the credentials for the gRPC server; the certificate is replaced as in `http_context`.

    gRPC in Python either requires a client certificate or does not request it; it cannot be optional.

    Raises:
        UsageError: the files cannot be used.
    """
    current = _Current(files, _configuration)

    # None means "unchanged", which the library's stubs do not declare.
    def fetch() -> Any:
        return current.value if current.has_changed() else None

    return grpc.dynamic_ssl_server_credentials(
        current.value, fetch, require_client_authentication=files.requires_client
    )


def _context(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # Without session resumption, every client is verified against the current authority. TLS 1.2 also resumes sessions
    # by their ids, which cannot be disabled here.
    context.minimum_version = ssl.TLSVersion.TLSv1_2 if files.client_ca is None else ssl.TLSVersion.TLSv1_3
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    context.load_cert_chain(files.certificate, files.private_key)
    if files.client_ca is not None:
        context.load_verify_locations(files.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED if files.requires_client else ssl.CERT_OPTIONAL
    return context


def _configuration(files: TlsFiles) -> grpc.ServerCertificateConfiguration:
    # gRPC checks the files only at the handshake; files that OpenSSL rejects must not replace valid ones.
    _context(files)
    authority = files.client_ca.read_bytes() if files.client_ca and files.requires_client else None
    pair = (files.private_key.read_bytes(), files.certificate.read_bytes())
    return grpc.ssl_server_certificate_configuration([pair], root_certificates=authority)
