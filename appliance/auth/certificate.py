"""The contents of a certificate file, for display and for checks before a start. It verifies no certificate."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from appliance.errors import UsageError


@dataclass(frozen=True)
class CertificateFacts:
    """The facts of one certificate.

    Attributes:
        subject, issuer: RFC 4514 text.
        names: its subject alternative names.
        begins, ends: its validity, UTC.
        sha256: its fingerprint, hexadecimal.
    """

    subject: str
    issuer: str
    names: tuple[str, ...]
    begins: datetime
    ends: datetime
    sha256: str

    @classmethod
    def load(cls, path: Path) -> CertificateFacts:
        """Read the first certificate of a PEM file.

        Raises:
            UsageError: the file cannot be read.
        """
        try:
            found = x509.load_pem_x509_certificates(path.read_bytes())[0]
        except (OSError, ValueError) as error:
            raise UsageError(f"{path} cannot be read: {error}", hint="it must be a PEM certificate") from error
        try:
            alternatives = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            names = tuple(str(name.value) for name in alternatives)
        except x509.ExtensionNotFound:
            names = ()
        return cls(
            subject=found.subject.rfc4514_string(),
            issuer=found.issuer.rfc4514_string(),
            names=names,
            begins=found.not_valid_before_utc,
            ends=found.not_valid_after_utc,
            sha256=found.fingerprint(hashes.SHA256()).hex(),
        )
