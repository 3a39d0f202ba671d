"""A message with fields that we do not know asks for something that would be dropped."""

from __future__ import annotations

from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from appliance.errors import RequestError


def check_known(message: Message) -> None:
    """Pass if the message has no field beyond our schema; messages inside it are not looked at.

    Raises:
        RequestError: it has one.
    """
    unknown = UnknownFieldSet(message)
    if len(unknown):
        number, name = unknown[0].field_number, message.DESCRIPTOR.full_name
        raise RequestError(f"unknown field {number} in {name}", hint="generate the client from the schema of this box")
