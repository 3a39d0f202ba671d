"""What the gateway reads of an artefact, and that it reads no byte that the manifest does not vouch for."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from appliance.artefact.manifest import CHAT_TEMPLATE, MANIFEST_NAME, TOKENIZER
from appliance.errors import IntegrityError, UnknownModelError
from appliance.gateway.served_model import ServedModel, ServedModels
from tests.gateway.tiny_artefact import write_artefact


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_artefact(tmp_path / "artefact")


@pytest.mark.parametrize("name", [TOKENIZER, CHAT_TEMPLATE])
def test_a_changed_or_missing_file_is_refused_by_name(folder: Path, name: str):
    (folder / name).write_bytes((folder / name).read_bytes() + b" ")
    with pytest.raises(IntegrityError, match=name):
        ServedModel.load(folder)
    (folder / name).unlink()
    with pytest.raises(IntegrityError, match=name):
        ServedModel.load(folder)


def test_a_file_that_is_no_tokenizer_is_refused(folder: Path):
    (folder / TOKENIZER).write_bytes(b"{}")
    manifest = json.loads((folder / MANIFEST_NAME).read_bytes())
    for entry in manifest["files"]:
        if entry["name"] == TOKENIZER:
            entry["sha256"] = hashlib.sha256(b"{}").hexdigest()
    (folder / MANIFEST_NAME).write_text(json.dumps(manifest))
    with pytest.raises(IntegrityError, match=TOKENIZER):
        ServedModel.load(folder)


def test_the_fingerprint_changes_with_the_artefact(folder: Path, tmp_path: Path):
    same = write_artefact(tmp_path / "same")
    other = write_artefact(tmp_path / "other", template="{{ messages }}")
    fingerprints = [ServedModel.load(one).fingerprint for one in (folder, same, other)]
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]


def test_a_model_that_is_not_on_offer_is_told_what_is(folder: Path):
    with pytest.raises(UnknownModelError, match="tiny-instruct"):
        ServedModels.load([folder]).get("other")
