"""Creates the site's own certificate authority and the certificates that it signs. It writes no file.

Format: RFC 5280 with the CA/Browser Forum's practice (names in the subject alternative name, P-256, at most 398 days).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from appliance.errors import IntegrityError, UsageError

CA_DAYS = 3650
MAX_DAYS = 397
# Clients' clocks may be behind the box's clock.
_BACKDATE = timedelta(hours=1)
_MAX_COMMON_NAME = 64
# The lengths are RFC 1035's. The underscore is allowed because many sites use it in host names.
_MAX_HOST = 253
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


@dataclass(frozen=True)
class Issued:
    """A certificate and its private key, as PEM."""

    certificate: bytes
    private_key: bytes


class SiteCa:
    """A certificate authority."""

    def __init__(self, certificate: x509.Certificate, private_key: ec.EllipticCurvePrivateKey) -> None:
        self._certificate = certificate
        self._key = private_key

    @classmethod
    def new(cls, now: datetime) -> SiteCa:
        """Create an authority with a new key."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Edge inference appliance"),
                # The authorities of two boxes need different names, because clients look up an issuer by name.
                x509.NameAttribute(NameOID.COMMON_NAME, f"Site CA {x509.random_serial_number() % 16**8:08x}"),
            ]
        )
        builder = _builder(name, name, key.public_key(), now, CA_DAYS)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        return cls(builder.sign(key, hashes.SHA256()), key)

    @classmethod
    def from_issued(cls, pair: Issued) -> SiteCa:
        """Load an authority from PEM.

        Raises:
            IntegrityError: the certificate or key cannot be read, or they do not belong together.
        """
        try:
            certificate = x509.load_pem_x509_certificate(pair.certificate)
            key = serialization.load_pem_private_key(pair.private_key, password=None)
        except (ValueError, TypeError) as error:
            raise IntegrityError(f"the site CA cannot be read: {error}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise IntegrityError("the site CA's key does not belong to its certificate")
        return cls(certificate, key)

    def to_issued(self) -> Issued:
        """The authority as PEM."""
        return Issued(self._certificate.public_bytes(serialization.Encoding.PEM), _key_pem(self._key))

    def issue_server(self, names: Sequence[str], now: datetime, days: int) -> Issued:
        """Sign a certificate for a server.

        Args:
            names: host names and IP addresses by which clients reach the server, at least one.
            now: the start of its validity.
            days: how long it is valid, at most MAX_DAYS.

        Raises:
            UsageError: a name is neither a host name nor an IP address.
        """
        alternatives = [_alternative(name) for name in names]
        return self._issue(names[0], alternatives, ExtendedKeyUsageOID.SERVER_AUTH, now, days)

    def issue_client(self, name: str, now: datetime, days: int) -> Issued:
        """Sign a certificate for the client `name`.

        Raises:
            UsageError: the name is neither a host name nor an IP address.
        """
        return self._issue(name, [_alternative(name)], ExtendedKeyUsageOID.CLIENT_AUTH, now, days)

    def _issue(
        self, name: str, alternatives: list[x509.GeneralName], use: x509.ObjectIdentifier, now: datetime, days: int
    ) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:_MAX_COMMON_NAME])])
        builder = _builder(subject, self._certificate.subject, key.public_key(), now, days)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(issuer, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return Issued(certificate.public_bytes(serialization.Encoding.PEM), _key_pem(key))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + timedelta(days=days))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    if not _HOST.fullmatch(name) or len(name) > _MAX_HOST:
        raise UsageError(
            f"{name!r} is neither a host name nor an IP address", hint="write, for example, box.plant.example"
        )
    return x509.DNSName(name)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
