"""Documents in messages: texts that clients send as files or as search results, and how the model reads them."""

from __future__ import annotations

import base64
import binascii
from typing import Any
from xml.sax.saxutils import quoteattr

from pydantic_core import PydanticCustomError

_DATA_URL = "data:"
_BASE64 = ";base64"


def document_text(text: str, **details: str | None) -> str:
    """Return the document for the prompt: its text between tags, with the details (title, source) that are given.

    The tags are plain text for the model; they only separate the document from the question.
    """
    attributes = "".join(f" {name}={quoteattr(value)}" for name, value in details.items() if value)
    return f"<document{attributes}>\n{text}\n</document>"


def check_sent(value: Any) -> Any:
    """Return a file's fields.

    Raises:
        PydanticCustomError: they refer to a file that is somewhere else.
    """
    if isinstance(value, dict) and value.get("file_data") is None and (value.get("file_id") or value.get("file_url")):
        raise PydanticCustomError("file_place", "the box neither stores nor fetches files; send file_data")
    return value


def text_of_file(data: str) -> str:
    """Return the text of a file in base64, alone or in a data URL.

    Raises:
        PydanticCustomError: it is not base64, or the file is not a text in UTF-8.
    """
    if data.startswith(_DATA_URL):
        head, _, data = data.partition(",")
        if not head.endswith(_BASE64):
            raise PydanticCustomError("file_encoding", "a data URL must be in base64")
    try:
        content = base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise PydanticCustomError("file_encoding", "the data of a file must be in base64") from error
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise PydanticCustomError("file_type", "the file is not a text in UTF-8; convert it to text") from error
    # A PDF can consist of ASCII characters alone.
    if "\0" in text or text.startswith("%PDF-"):
        raise PydanticCustomError("file_type", "the file is not a text in UTF-8; convert it to text")
    return text
