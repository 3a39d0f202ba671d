"""What the gateway reads of an artefact, and that it reads no byte that the manifest does not vouch for."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.artefact.folder import read_manifest
from appliance.artefact.manifest import CHAT_TEMPLATE, MANIFEST_NAME, TOKENIZER, FileEntry
from appliance.errors import IntegrityError, UnknownModelError, UsageError
from appliance.gateway.chat.served_model import ServedModel
from appliance.gateway.chat.served_models import ServedModels, load_model
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
    manifest = read_manifest(folder)
    entry = FileEntry(TOKENIZER, 2, hashlib.sha256(b"{}").hexdigest())
    files = tuple(entry if file.name == TOKENIZER else file for file in manifest.files)
    (folder / MANIFEST_NAME).write_bytes(replace(manifest, files=files).to_bytes())
    with pytest.raises(IntegrityError, match=TOKENIZER):
        ServedModel.load(folder)


def test_the_fingerprint_changes_with_the_artefact(folder: Path, tmp_path: Path):
    same = write_artefact(tmp_path / "same")
    other = write_artefact(tmp_path / "other", template="{{ messages }}")
    fingerprints = [ServedModel.load(one).fingerprint for one in (folder, same, other)]
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]


def test_a_model_that_is_not_on_offer_is_told_what_is(folder: Path):
    with pytest.raises(UnknownModelError, match="tiny-instruct"):
        ServedModels([load_model(folder)]).get("other")


def test_two_models_of_one_name_are_refused(folder: Path):
    with pytest.raises(UsageError, match="tiny-instruct"):
        ServedModels([load_model(folder), load_model(folder)])
