"""The address of a client, also behind proxies that the operator lists. It is only for the log and decides nothing.

Anybody can send the header X-Forwarded-For, so each address in it counts only if a listed proxy wrote it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from urllib.parse import unquote

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class ClientAddress:
    """See the module."""

    def __init__(self, proxies: Iterable[str]) -> None:
        """`proxies` are addresses and networks."""
        self._networks = [ipaddress.ip_network(text) for text in proxies]

    def of(self, peer: str, forwarded: Sequence[str]) -> str:
        """Return the address of the client that sent a request.

        Args:
            peer: the other end of the connection; any text if it is not an IP address.
            forwarded: the values of the header X-Forwarded-For, in their order.

        Returns:
            the last address that no listed proxy has; empty if the peer is not an IP address.
        """
        found = _parsed(peer)
        named = [text for value in forwarded for text in value.split(",")]
        while found is not None and named and self._is_proxy(found):
            before = _parsed(named.pop())
            if before is None:
                break
            found = before
        return "" if found is None else str(found)

    def of_grpc(self, peer: str, forwarded: Sequence[str]) -> str:
        """The same for a peer as gRPC writes it: "ipv4:10.0.0.2:4711", "ipv6:%5B::1%5D:4711"."""
        host = unquote(peer.partition(":")[2]).rpartition(":")[0]
        return self.of(host.removeprefix("[").removesuffix("]"), forwarded)

    def _is_proxy(self, address: _Address) -> bool:
        return any(address in network for network in self._networks)


def _parsed(text: str) -> _Address | None:
    try:
        # The zone of an IPv6 address ("%eth0") is any text.
        address = ipaddress.ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    # A socket for both families writes IPv4 addresses as IPv6 addresses.
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address
