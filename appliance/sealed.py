"""JSON documents that contain a digest of their own content, to detect damage.

The digest does not prove who wrote a document: a person who can write the file can write its digest.
docs/formats/manifest.md specifies the format.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

DIGEST = "digest"


def to_bytes(fields: Mapping[str, Any]) -> bytes:
    """Serialise with the digest: UTF-8 JSON, sorted keys, two spaces, one final newline. Equal fields give equal bytes.

    Raises:
        ValueError: a number is not finite, or a text is not valid Unicode.
    """
    return _canonical({**fields, DIGEST: _digest(fields)})


def from_bytes(content: bytes) -> dict[str, Any]:
    """Parse the output of `to_bytes`, and return the fields without the digest.

    1. The content is a JSON object.
    2. The digest matches all other fields.
    3. The bytes are as `to_bytes` writes them: no duplicate field, no other space.

    Raises:
        ValueError: a rule does not hold.
    """
    document = parse(content)
    stated = document.pop(DIGEST, None)
    if stated != _digest(document):
        raise ValueError("it does not match its own digest")
    if content != to_bytes(document):
        raise ValueError("its formatting differs from the required one")
    return document


def parse(content: bytes) -> dict[str, Any]:
    """Parse a JSON object without verifying it.

    Raises:
        ValueError: the content is not a JSON object.
    """
    try:
        document = json.loads(content)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(document, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - one error for whatever is wrong
    return document


def _digest(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(_canonical(fields)).hexdigest()


def _canonical(value: Mapping[str, Any]) -> bytes:
    try:
        text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return f"{text}\n".encode()
