"""The rule for listening addresses: a box listens on a network only with TLS and authentication. It opens no socket."""

from __future__ import annotations

from appliance.address import Address
from appliance.errors import UsageError


def check_exposure(address: Address, *, has_tls: bool, has_authentication: bool) -> Address:
    """Return the address if the box may listen there.

    Raises:
        UsageError: other machines could reach the address, and TLS or authentication is missing.
    """
    if address.is_loopback or (has_tls and has_authentication):
        return address
    missing, ways = [], []
    if not has_tls:
        missing.append("TLS")
        ways.append(f"appliance tls init {address.host if address.names_a_host else 'NAME_OR_IP_OF_THIS_BOX'}")
    if not has_authentication:
        missing.append("authentication")
        ways.append("appliance key create NAME")
    raise UsageError(
        f"refusing to listen on {address}: the box has no {' and no '.join(missing)}",
        hint=f"run: {'; '.join(ways)}; or listen on 127.0.0.1",
    )


def check_proxied(*, has_authentication: bool) -> None:
    """Check that a box on loopback may serve behind a proxy, through which other machines can reach it.

    Raises:
        UsageError: authentication is missing.
    """
    if not has_authentication:
        raise UsageError(
            "refusing to serve behind a proxy: the box has no authentication, and [serve] has hosts or proxies",
            hint="run: appliance key create NAME; or remove hosts and proxies from [serve]",
        )
