"""The field of the log that names the client of a call."""

from __future__ import annotations

from typing import Any

from appliance.gateway.access.client_address import ClientAddress

_FORWARDED = "x-forwarded-for"


def client_field(clients: ClientAddress, context: Any) -> dict[str, str]:
    """Return the field for a servicer context; empty if the client has no address."""
    metadata = context.invocation_metadata() or ()
    forwarded = [value for name, value in metadata if name == _FORWARDED and isinstance(value, str)]
    address = clients.of_grpc(context.peer() or "", forwarded)
    return {"client": address} if address else {}
