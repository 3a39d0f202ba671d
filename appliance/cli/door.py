"""The running box's gRPC address, as a client on this machine reaches it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import grpc

from appliance.address import Address
from appliance.auth.policy import CA_CERTIFICATE
from appliance.cli.box import Box
from appliance.errors import UsageError
from appliance.supervisor.state import UpState

KEY_VARIABLE = "APPLIANCE_API_KEY"
# The box is on this machine: a proxy from the environment cannot reach it.
_OPTIONS = (("grpc.enable_http_proxy", 0),)


@dataclass(frozen=True)
class Door:
    """The gateway's gRPC address and credentials.

    Attributes:
        address: "127.0.0.1:8081".
        tls: whether the address uses TLS.
        authority: PEM of the CA that signed the gateway's certificate; None for the CAs that this machine trusts.
        key: an API key; None sends none.
    """

    address: str
    tls: bool = False
    authority: bytes | None = None
    key: str | None = field(default=None, repr=False)

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The metadata of every call."""
        return (("authorization", f"Bearer {self.key}"),) if self.key else ()

    def channel(self) -> grpc.Channel:
        """A channel to the address."""
        if not self.tls:
            return grpc.insecure_channel(self.address, options=_OPTIONS)
        credentials = grpc.ssl_channel_credentials(self.authority)
        # The certificate has the host names that clients use, and always localhost.
        options = (*_OPTIONS, ("grpc.ssl_target_name_override", "localhost")) if self.authority else _OPTIONS
        return grpc.secure_channel(self.address, credentials, options=options)


def door_of(box: Box, up: UpState) -> Door:
    """The gRPC address of the running box, with the key of the environment.

    Raises:
        UsageError: the environment variable does not contain an API key.
    """
    address = str(Address.from_text(up.grpc).from_here())
    key = os.environ.get(KEY_VARIABLE) or None
    if key and not (key.isascii() and key.isprintable()):
        raise UsageError(f"{KEY_VARIABLE} does not contain an API key", hint="create a key: appliance key create NAME")
    authority = box.layout.tls / CA_CERTIFICATE
    is_ours = up.tls and box.config.access.certificate is None
    return Door(address, up.tls, authority.read_bytes() if is_ours else None, key)
