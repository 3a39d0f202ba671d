"""A text file in a request body."""

from __future__ import annotations

import base64
import binascii
import functools
from typing import Any

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from appliance.gateway.bodies.document import document_text
from appliance.gateway.bodies.strict import Strict

_DATA_URL = "data:"
_BASE64 = ";base64"


class TextFile(Strict):
    """A file: its bytes in base64, alone or in a data URL. The box stores no files, so it has no `file_id`."""

    file_data: str
    filename: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _is_sent(cls, value: Any) -> Any:
        is_elsewhere = isinstance(value, dict) and bool(value.get("file_id") or value.get("file_url"))
        if is_elsewhere and value.get("file_data") is None:
            raise PydanticCustomError("file_place", "the box neither stores nor fetches files; send file_data")
        return value

    @model_validator(mode="after")
    def _is_text(self) -> TextFile:
        _ = self.text
        return self

    @functools.cached_property
    def text(self) -> str:
        """The document for the prompt; the check of the body decodes it, and nothing decodes it again.

        Raises:
            PydanticCustomError: see `_decoded`.
        """
        return document_text(_decoded(self.file_data), title=self.filename)


def _decoded(data: str) -> str:
    """The text of a file in base64, alone or in a data URL.

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
