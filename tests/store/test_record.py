"""The record of an installed model: no damage is read as meaning, and what earlier versions wrote is still read."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import pytest

from appliance import sealed
from appliance.catalog import ModelEntry, ModelFile, Trust
from appliance.catalog.entry import Conversation
from appliance.errors import IntegrityError
from appliance.store import ModelRecord
from tests.refusals import refused

RECORD = ModelRecord(
    ModelEntry(
        name="tiny",
        maker="tests",
        architecture="qwen2",
        licence="Apache-2.0",
        context_tokens=512,
        trust=Trust.FIRST_USE,
        provenance="made by a test",
        files=(ModelFile("a.gguf", 5, "0" * 64),),
        conversation=Conversation(tools="hermes"),
    ),
    "a test",
    datetime(2026, 1, 1, tzinfo=timezone.utc),
)


def test_what_it_says_comes_back():
    assert ModelRecord.from_bytes(RECORD.to_bytes(), "x") == RECORD


def test_no_bit_of_it_can_change_unseen():
    content = RECORD.to_bytes()
    for position in range(len(content)):
        for bit in range(8):
            flipped = bytearray(content)
            flipped[position] ^= 1 << bit
            with pytest.raises(IntegrityError):
                ModelRecord.from_bytes(bytes(flipped), "x")


def test_a_record_of_an_earlier_version_is_still_read():
    fields = sealed.from_bytes(RECORD.to_bytes()) | {"format": 1}
    assert ModelRecord.from_bytes(json.dumps(fields, indent=2).encode(), "x") == RECORD


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{}", b"[" * 100_000, b'{"format": 1}', b'{"format": 2}'])
def test_something_else_is_refused(content: bytes):
    with refused(IntegrityError, "record"):
        ModelRecord.from_bytes(content, "x")
