"""Installed models: records over stored files."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from appliance.catalog import ModelEntry, Trust
from appliance.errors import IntegrityError, UnknownModelError, UsageError
from appliance.layout import Layout
from appliance.store import Blobs, ModelRecord, installed, open_model, record, remove
from tests.package_index import publish
from tests.refusals import refused

WHEN = datetime(2026, 11, 23, 12, 30, tzinfo=timezone.utc)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(root=tmp_path / "root", cache=tmp_path / "cache")


def install(layout: Layout, name: str, files: dict[str, bytes]) -> ModelEntry:
    blobs = Blobs(layout.store)
    entry = ModelEntry(
        name=name,
        maker="nobody",
        architecture="qwen2",
        licence="unknown",
        context_tokens=None,
        trust=Trust.FIRST_USE,
        provenance="Made up.",
        files=tuple(blobs.add(file, [content]) for file, content in files.items()),
    )
    record(layout, ModelRecord(entry, "a test", WHEN))
    return entry


def test_an_installed_model_opens_with_its_files_and_what_is_known_of_it(layout: Layout):
    entry = install(layout, "mine", {"a.gguf": b"weights", "config.json": b"{}"})
    model = open_model(layout, "mine")
    assert model.name == "mine"
    assert model.entry == entry
    assert {name: path.read_bytes() for name, path in model.files.items()} == {
        "a.gguf": b"weights",
        "config.json": b"{}",
    }
    assert (model.record.origin, model.record.pulled_at) == ("a test", WHEN)
    model.verify()


def test_a_record_survives_the_round_trip_without_its_source():
    entry = publish().entry
    written = ModelRecord(entry, "somewhere", WHEN).to_bytes()
    assert ModelRecord.from_bytes(written, "x") == ModelRecord(replace(entry, source=None), "somewhere", WHEN)


def test_a_model_that_is_not_installed_is_unknown(layout: Layout):
    with pytest.raises(UnknownModelError, match="mine") as caught:
        open_model(layout, "mine")
    assert "pull" in caught.value.hint
    with refused(UsageError, "valid"):
        open_model(layout, "../mine")


def test_verifying_names_every_file_that_is_changed_or_missing(layout: Layout):
    install(layout, "mine", {"a.gguf": b"weights", "b.json": b"[]", "c.json": b"{}"})
    model = open_model(layout, "mine")
    model.files["a.gguf"].chmod(0o644)
    model.files["a.gguf"].write_bytes(b"wEights")
    model.files["c.json"].unlink()
    assert [fault.file.name for fault in model.faults()] == ["a.gguf", "c.json"]
    with pytest.raises(IntegrityError) as caught:
        model.verify()
    assert "a.gguf has sha256" in caught.value.message
    assert "c.json is missing" in caught.value.message
    assert "b.json" not in caught.value.message


def test_removing_keeps_the_files_that_another_model_shares(layout: Layout):
    install(layout, "one", {"a.gguf": b"only one", "config.json": b"{}"})
    install(layout, "two", {"b.gguf": b"only two", "config.json": b"{}"})
    assert remove(layout, "one") == len(b"only one")
    assert [model.name for model in installed(layout)] == ["two"]
    open_model(layout, "two").verify()
    with pytest.raises(UnknownModelError):
        remove(layout, "one")


def test_removing_works_for_a_model_whose_own_record_is_broken(layout: Layout):
    install(layout, "mine", {"a.gguf": b"weights"})
    (layout.models / "mine.json").write_text("{")
    assert remove(layout, "mine") == len(b"weights")


def test_nothing_is_removed_when_another_record_cannot_be_read(layout: Layout):
    install(layout, "one", {"a.gguf": b"only one"})
    install(layout, "two", {"b.gguf": b"only two"})
    (layout.models / "two.json").write_text("{")
    with pytest.raises(IntegrityError):
        remove(layout, "one")
    open_model(layout, "one").verify()


@pytest.mark.parametrize("change", ["{", "[]", "{}", "format", "name", "sha256", "unknown key"])
def test_a_record_that_was_tampered_with_is_refused(layout: Layout, change: str):
    install(layout, "mine", {"a.gguf": b"weights"})
    path = layout.models / "mine.json"
    document = json.loads(path.read_text())
    if change == "format":
        document["format"] = 99
    elif change == "name":
        document["entry"]["name"] = "another"
    elif change == "sha256":
        document["entry"]["files"][0]["sha256"] = "../../../etc/passwd"
    elif change == "unknown key":
        document["entry"]["surprise"] = 1
    path.write_text(change if change[0] in "{[" else json.dumps(document))
    with pytest.raises(IntegrityError):
        open_model(layout, "mine")
