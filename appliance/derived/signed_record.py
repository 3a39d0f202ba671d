"""A JSON record that the box signs: only its own builds are loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from appliance.derived.box_key import BoxKey
from appliance.errors import IntegrityError, UnsupportedError


def to_signed(fields: Mapping[str, Any], record_format: int, box: BoxKey) -> bytes:
    """The fields as signed JSON."""
    signed = {"format": record_format, **fields}
    document = {**signed, "signature": box.sign(_canonical(signed))}
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def from_signed(content: bytes, record_format: int, box: BoxKey, path: str, what: str, hint: str) -> dict[str, Any]:
    """Parse the output of `to_signed` and return the fields.

    1. The content is a JSON object with a signature.
    2. The signature is this box's, over all the other fields.
    3. The format is `record_format`.

    Args:
        content: the bytes of the record.
        record_format: the format that this version reads.
        box: the box's key.
        path: names the record in messages.
        what: the kind of build, in messages.
        hint: tells how to make the build again.

    Raises:
        IntegrityError: 1 or 2.
        UnsupportedError: 3.
    """
    try:
        document = json.loads(content)
        signature = document.pop("signature")
        is_ours = box.is_signed(_canonical(document), signature)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise IntegrityError(f"{path} is not the record of a {what}: {error}", hint=hint) from error
    if not is_ours:
        raise IntegrityError(f"{path} was not written by this box, so its {what} is not loaded", hint=hint)
    found = document.pop("format", None)
    if found != record_format:
        raise UnsupportedError(f"{path} has format {found}, but this version reads {record_format}", hint=hint)
    return dict(document)


def _canonical(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
