"""Snapshots in the cache of huggingface_hub are read through their links, which lead to the model's own blobs alone."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from appliance.errors import SourceError, UnsafeFormatError
from appliance.sources import pull_local
from appliance.store import open_model
from tests.refusals import refused
from tests.sources.test_formats import safetensors

COMMIT, OTHER = "0123456789abcdef0123456789abcdef01234567", "76543210fedcba9876543210fedcba9876543210"
CONTENTS = {
    "config.json": json.dumps({"model_type": "qwen2"}).encode(),
    "model.safetensors": safetensors() + bytes(1000),
    "tokenizer.json": b"{}",
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The folder of a model, with one snapshot, as huggingface_hub lays it out."""
    home = tmp_path / "hub" / "models--Org--Model"
    (home / "blobs").mkdir(parents=True)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(COMMIT)
    add_snapshot(home, COMMIT)
    return home


def add_snapshot(home: Path, commit: str) -> Path:
    snapshot = home / "snapshots" / commit
    snapshot.mkdir(parents=True)
    for name, content in CONTENTS.items():
        blob = home / "blobs" / hashlib.sha256(content).hexdigest()
        blob.write_bytes(content)
        (snapshot / name).symlink_to(Path("..", "..", "blobs", blob.name))
    return snapshot


def test_a_snapshot_is_installed_with_the_digests_of_its_blobs(layout, model, told):
    snapshot = model / "snapshots" / COMMIT
    stored = pull_local(layout, snapshot, told.reporter, name="mine")
    stored.verify()
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENTS.items()}
    assert {file.name: file.sha256 for file in stored.entry.files} == digests
    for path in stored.files.values():
        assert path.is_file()
        assert not path.is_symlink()


def test_the_pooling_of_a_snapshot_is_a_link_one_folder_deeper(layout, model, told):
    content = b'{"pooling_mode_cls_token": true}'
    (model / "blobs" / "pooling").write_bytes(content)
    (model / "snapshots" / COMMIT / "1_Pooling").mkdir()
    link = model / "snapshots" / COMMIT / "1_Pooling" / "config.json"
    link.symlink_to(Path("..", "..", "..", "blobs", "pooling"))
    stored = pull_local(layout, model, told.reporter, name="mine")
    assert stored.files["1_Pooling.config.json"].read_bytes() == content


def test_the_folder_of_a_model_stands_for_its_main_snapshot(layout, model, told):
    add_snapshot(model, OTHER)
    pull_local(layout, model, told.reporter, name="mine")
    assert open_model(layout, "mine").record.origin == f"local: {model / 'snapshots' / COMMIT}"


def test_the_folder_of_a_model_stands_for_its_only_snapshot(layout, model, told):
    (model / "refs" / "main").unlink()
    pull_local(layout, model, told.reporter, name="mine")


@pytest.mark.parametrize("reference", [None, "../../secret", "f" * 40, "\udcff"])
def test_a_folder_whose_main_snapshot_is_unknown_is_refused(layout, model, told, reference):
    other = add_snapshot(model, OTHER)
    (model / "refs" / "main").unlink()
    if reference is not None:
        (model / "refs" / "main").write_bytes(reference.encode(errors="surrogateescape"))
    with refused(SourceError, 2) as caught:
        pull_local(layout, model, told.reporter, name="mine")
    assert str(other) in caught.value.hint


def test_a_folder_without_snapshots_is_refused(layout, model, told):
    (model / "snapshots").rename(model / "old")
    (model / "snapshots").mkdir()
    with refused(SourceError, 0):
        pull_local(layout, model, told.reporter, name="mine")


@pytest.mark.parametrize("where", ["/etc/passwd", "../../../secret", "../../refs/main", "../../blobs/deeper/secret"])
def test_a_link_out_of_the_blobs_is_refused(layout, model, told, where):
    (model.parent / "secret").write_text("{}")
    (model / "blobs" / "deeper").mkdir()
    (model / "blobs" / "deeper" / "secret").write_text("{}")
    (model / "snapshots" / COMMIT / "vocab.json").symlink_to(where)
    with refused(UnsafeFormatError, "vocab.json"):
        pull_local(layout, model, told.reporter, name="mine")
    assert not layout.store.exists()


def test_a_blob_that_is_a_link_itself_is_refused(layout, model, told, tmp_path):
    (tmp_path / "secret").write_text("{}")
    (model / "blobs" / "b").symlink_to(tmp_path / "secret")
    (model / "snapshots" / COMMIT / "vocab.json").symlink_to("../../blobs/b")
    with refused(UnsafeFormatError, "vocab.json"):
        pull_local(layout, model, told.reporter, name="mine")


def test_a_link_in_place_of_the_blobs_is_refused(layout, model, told, tmp_path):
    (model / "blobs").rename(tmp_path / "elsewhere")
    (model / "blobs").symlink_to(tmp_path / "elsewhere")
    with refused(UnsafeFormatError, "config.json"):
        pull_local(layout, model, told.reporter, name="mine")


def test_blobs_beside_another_folder_are_not_followed(layout, model, told):
    """The layout alone counts: a folder elsewhere with such links is refused."""
    renamed = model.rename(model.parent / "mine")
    with refused(UnsafeFormatError, "config.json"):
        pull_local(layout, renamed / "snapshots" / COMMIT, told.reporter, name="mine")
