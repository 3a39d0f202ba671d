"""The record's form, and who may have written it."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path

import pytest

from appliance.derived.box_key import BoxKey
from appliance.engine.parity import Parity
from appliance.errors import IntegrityError, UnsupportedError
from appliance.tensorrt import record
from appliance.tensorrt.record import PlanRecord
from tests.refusals import refused
from tests.tensorrt.test_plan_key import KEY

GOLDEN = Path(__file__).parents[1] / "golden" / "engine-record.json"
BOX = BoxKey(bytes(range(32)))
RECORD = PlanRecord(
    model="tiny",
    target="jetson-orin-agx-64g",
    preset="tensorrt-fp16",
    key=KEY,
    gpu="Orin",
    gpu_uuid="GPU-0",
    size_bytes=10,
    sha256="0" * 64,
    seconds=1.5,
    peak_bytes=11,
    smoke=Parity(mean_kl=0.0001, worst_kl=0.002, top1_agreement=1.0, rows=52).figures,
    built_at=datetime(2026, 11, 25, 12, 0, tzinfo=timezone.utc),
)


def test_a_record_survives_being_written_and_read():
    assert PlanRecord.from_bytes(RECORD.to_bytes(BOX), BOX, "record.json") == RECORD


def test_a_record_that_an_earlier_version_wrote_is_read():
    kept = GOLDEN.read_bytes()
    assert PlanRecord.from_bytes(kept, BOX, "record.json") == RECORD
    assert RECORD.to_bytes(BOX) == kept


def test_its_secret_is_not_shown():
    assert "secret" not in repr(BOX)


def test_another_box_cannot_read_it():
    with refused(IntegrityError, "record.json", "not written by this box"):
        PlanRecord.from_bytes(RECORD.to_bytes(BOX), BoxKey(bytes(32)), "record.json")


def test_a_format_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(record, "FORMAT", 2)
    newer = RECORD.to_bytes(BOX)
    monkeypatch.undo()
    with refused(UnsupportedError, "format 2", 1):
        PlanRecord.from_bytes(newer, BOX, "record.json")


def test_a_record_of_ours_with_a_field_too_few_is_refused(monkeypatch: pytest.MonkeyPatch):
    fields = RECORD.to_fields()
    del fields["sha256"]
    monkeypatch.setattr(PlanRecord, "to_fields", lambda _record: fields)
    with refused(IntegrityError, "record of a plan", "sha256"):
        PlanRecord.from_bytes(RECORD.to_bytes(BOX), BOX, "record.json")


def test_whitespace_and_order_do_not_matter():
    document = json.loads(RECORD.to_bytes(BOX))
    compact = json.dumps(dict(reversed(document.items()))).encode()
    assert PlanRecord.from_bytes(compact, BOX, "record.json") == RECORD


def test_a_record_that_nests_too_deep_is_refused_like_any_other():
    with refused(IntegrityError, "record of a plan"):
        PlanRecord.from_bytes(b"[" * 100_000, BOX, "record.json")
