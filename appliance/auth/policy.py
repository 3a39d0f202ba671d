"""The access policy of a box: keys, certificates and scopes, from configuration and folders. It checks no request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from appliance.address import Address
from appliance.auth.exposure import check_exposure, check_proxied
from appliance.auth.key_file import KeyFile
from appliance.auth.scope import Scope, parse_scopes
from appliance.auth.tls_files import TlsFiles
from appliance.config import AccessConfig
from appliance.errors import UsageError
from appliance.layout import Layout

SERVER_CERTIFICATE = "server.pem"
SERVER_KEY = "server.key"
CA_CERTIFICATE = "ca.pem"
CA_KEY = "ca.key"


@dataclass(frozen=True)
class Policy:
    """The rules of one box.

    Attributes:
        keys: the file of API keys; None: the box never has API keys.
        require_keys: require a key or client certificate even if the file does not exist.
        tls: the server's certificate; None: the server uses no TLS.
        certificates: name in a client certificate → scopes; "*" stands for all names that are not listed.
    """

    keys: Path | None = None
    require_keys: bool = False
    tls: TlsFiles | None = None
    certificates: Mapping[str, frozenset[Scope]] = field(default_factory=dict)

    @classmethod
    def from_config(cls, access: AccessConfig, layout: Layout) -> Policy:
        """Create the policy; add defaults for what the configuration omits.

        Raises:
            UsageError: parts of the configuration contradict each other, or a file is missing.
        """
        found = access.certificates or {}
        certificates = {name: parse_scopes(words) for name, words in found.items()}
        tls = _tls(access, layout)
        if tls is None and (access.client_ca or access.require_client_certificates):
            raise UsageError(
                "client certificates need TLS, but the box has no server certificate",
                hint="create one: appliance tls init",
            )
        if access.require_client_certificates and not access.client_ca:
            raise UsageError(
                "require_client_certificates needs client_ca", hint="name the authority's PEM file in [access]"
            )
        if certificates and not access.client_ca:
            raise UsageError("[access.certificates] needs client_ca", hint="name the authority's PEM file in [access]")
        return cls(layout.keys, access.require_keys, tls, certificates)

    def check(self, *addresses: Address) -> Policy:
        """Return the policy for a box that listens at these addresses.

        Raises:
            UsageError: other machines can reach an address, and TLS or authentication is missing.
            IntegrityError: the file of keys cannot be used.
        """
        for address in addresses:
            check_exposure(address, has_tls=self.tls is not None, has_authentication=self.has_authentication)
        return self

    def check_proxied(self) -> None:
        """Check that the box may serve behind a proxy.

        Raises:
            UsageError: authentication is missing.
            IntegrityError: the file of keys cannot be used.
        """
        check_proxied(has_authentication=self.has_authentication)

    @property
    def has_authentication(self) -> bool:
        """Whether a client needs an API key or a certificate.

        Raises:
            IntegrityError: the file of keys cannot be used.
        """
        has_keys = self.require_keys or (self.keys is not None and KeyFile(self.keys).keyring() is not None)
        return has_keys or bool(self.certificates)


def _tls(access: AccessConfig, layout: Layout) -> TlsFiles | None:
    certificate = layout.tls / SERVER_CERTIFICATE
    if access.certificate is None and access.private_key is None and not certificate.exists():
        return None
    if access.certificate is not None and access.private_key is None:
        raise UsageError("[access] certificate needs private_key", hint="set private_key to the PEM file of the key")
    tls = TlsFiles(
        Path(access.certificate or certificate),
        Path(access.private_key or layout.tls / SERVER_KEY),
        Path(access.client_ca) if access.client_ca else None,
        access.require_client_certificates,
    )
    try:
        tls.mark()
    except OSError as error:
        raise UsageError(
            f"{error.filename}: {error.strerror}",
            hint="create it with appliance tls init, or correct [access] in appliance.toml",
        ) from error
    return tls
