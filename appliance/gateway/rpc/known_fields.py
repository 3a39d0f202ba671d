"""Rejects messages with unknown fields: the gateway would otherwise ignore part of the request."""

from __future__ import annotations

from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from appliance.errors import RequestError


def check_known(message: Message) -> None:
    """Check that the message has only fields of our schema; nested messages are not checked.

    Raises:
        RequestError: the message has an unknown field.
    """
    unknown = UnknownFieldSet(message)
    if len(unknown):
        number, name = unknown[0].field_number, message.DESCRIPTOR.full_name
        raise RequestError(f"unknown field {number} in {name}", hint="generate the client from the schema of this box")
