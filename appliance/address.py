"""A TCP address: parses it, tells loopback from network addresses, checks that it is free. It keeps no socket open."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from appliance.errors import PortTakenError, UsageError

MAX_PORT = 65535


@dataclass(frozen=True)
class Address:
    """The address of a listening server; with port 0, the kernel chooses a port."""

    host: str
    port: int

    @classmethod
    def from_text(cls, text: str) -> Address:
        """Parse `host:port`; an IPv6 host is in brackets.

        Raises:
            UsageError: the text is not such an address.
        """
        host, colon, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        # Limit the digits before int(): Python refuses to convert thousands of digits.
        is_port = port.isascii() and port.isdigit() and len(port) <= len(str(MAX_PORT)) and int(port) <= MAX_PORT
        if not colon or not is_port or not _is_host(host):
            raise UsageError(f"{text!r} is not a valid address", hint="write host:port, for example 127.0.0.1:8080")
        return cls(host, int(port))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the address."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def names_a_host(self) -> bool:
        """Whether the address means one interface, not all interfaces."""
        try:
            return not ipaddress.ip_address(self.host).is_unspecified
        except ValueError:
            return True

    def from_here(self) -> Address:
        """The address that a client on this machine uses."""
        if self.names_a_host:
            return self
        return Address("::1" if ":" in self.host else "127.0.0.1", self.port)

    def check_loopback(self) -> Address:
        """Return the address if only this machine can reach it.

        Raises:
            UsageError: other machines could reach it.
        """
        if not self.is_loopback:
            raise UsageError(
                f"refusing to listen on {self}: it has neither TLS nor authentication", hint="use 127.0.0.1"
            )
        return self

    def check_free(self, purpose: str) -> Address:
        """Return the address, with a free port if the port is 0; raises as `reserved` does."""
        with self.reserved(purpose) as address:
            return address

    @contextlib.contextmanager
    def reserved(self, purpose: str) -> Iterator[Address]:
        """Reserve the port for our server within the block; yields the address, with a free port if the port is 0.

        The reserving socket is bound and does not listen. The kernel then gives the port to no program that asks for
        any port, but a server that sets SO_REUSEADDR can listen there repeatedly.

        Raises:
            PortTakenError: another process listens there; the message names `purpose`.
            UsageError: this machine does not have the address.
        """
        with contextlib.ExitStack() as held:
            try:
                keeper = self._bound(held)
                address = Address(self.host, keeper.getsockname()[1])
                # If another program also listens there, only listen() fails.
                with contextlib.ExitStack() as briefly:
                    address._bound(briefly).listen(1)
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    raise PortTakenError(
                        f"{self} is in use, {purpose} cannot listen there",
                        hint="stop the other program, or choose another address",
                    ) from error
                raise UsageError(f"{purpose} cannot listen on {self}: {error.strerror or error}") from error
            yield address

    def _bound(self, held: contextlib.ExitStack) -> socket.socket:
        family = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0][0]
        bound = held.enter_context(socket.socket(family, socket.SOCK_STREAM))
        # Servers do the same: a port whose last connections are in TIME_WAIT is free.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((self.host, self.port))
        return bound

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _is_host(host: str) -> bool:
    """Whether the resolver accepts the host; it raises no ApplianceError if not."""
    try:
        return bool(host.encode("idna"))
    except UnicodeError:
        return False
