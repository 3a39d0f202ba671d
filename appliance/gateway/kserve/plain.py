"""Rejects content that no client message may have: unknown fields, NUL within a text, thousands of parts.

Triton reads texts as C strings, so it ignores the text after a NUL, which the gateway would read: the two would see
different names.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from appliance.errors import RequestError
from appliance.gateway.rpc.known_fields import check_known

# Messages and texts within one message: all are checked, and nothing else runs meanwhile.
_MAX_PARTS = 4096


def parse(kind: type[Message], content: bytes) -> Any:
    """Return the parsed message.

    Raises:
        RequestError: the bytes are not a message of this type, or contain what the module rejects.
    """
    try:
        message = kind.FromString(content)
    except DecodeError as error:
        raise RequestError(f"the message is not a valid {kind.DESCRIPTOR.name}") from error
    for number, (name, part) in enumerate(_parts(kind.DESCRIPTOR.name, message)):
        if number >= _MAX_PARTS:
            raise RequestError(f"the message has more than {_MAX_PARTS} parts", param=name)
        if isinstance(part, Message):
            check_known(part)
        elif "\0" in part:
            raise RequestError(f"{name} has a NUL character", param=name)
    return message


def _parts(name: str, message: Message) -> Iterator[tuple[str, Message | str]]:
    """The message and all messages and texts in it, each with the name of its field."""
    yield name, message
    for field, value in message.ListFields():
        if _is_map(field):
            for key, entry in value.items():
                yield field.name, key
                yield from _parts(field.name, entry)
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            for one in value if field.is_repeated else [value]:
                yield from _parts(field.name, one)
        elif field.type == FieldDescriptor.TYPE_STRING:
            for text in value if field.is_repeated else [value]:
                yield field.name, text


def _is_map(field: FieldDescriptor) -> bool:
    """Whether the field is a map from texts to messages, the only kind of map in these messages."""
    return field.message_type is not None and field.message_type.GetOptions().map_entry
