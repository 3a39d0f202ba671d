"""An engine with a packed graph verifies and watches exactly the files that it reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.artefact.folder import read_manifest
from appliance.artefact.manifest import CHAT_TEMPLATE, GRAPH_DATA, TOKENIZER
from appliance.engine.engine import Engine
from appliance.errors import IntegrityError, UnsupportedError
from appliance.inference.config import EngineConfig
from appliance.ops.library import library
from appliance.packed.build import ensure_packed
from appliance.packed.store import PackedStore
from tests.refusals import refused


@pytest.fixture
def packed(tmp_path: Path, artefact: Path) -> Path:
    try:
        digest = library().digest
    except UnsupportedError as error:
        pytest.skip(error.message)
    store = PackedStore(tmp_path / "engines")
    folder = ensure_packed(store, artefact, read_manifest(artefact), digest, lambda _line: None)
    assert folder is not None
    return folder


def load(artefact: Path, packed: Path) -> Engine:
    return Engine.load(artefact, EngineConfig(slots=2, max_context_tokens=64, threads=1, packed=str(packed)))


def damage(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def test_the_artefacts_graph_is_not_read(artefact: Path, packed: Path):
    damage(artefact / GRAPH_DATA)
    load(artefact, packed).close()


@pytest.mark.parametrize("name", [TOKENIZER, CHAT_TEMPLATE])
def test_every_other_file_of_the_artefact_is_verified(artefact: Path, packed: Path, name: str):
    damage(artefact / name)
    with refused(IntegrityError, name):
        load(artefact, packed)


def test_a_missing_or_unlisted_file_is_refused(artefact: Path, packed: Path):
    (artefact / "extra").write_text("")
    with refused(IntegrityError, "extra"):
        load(artefact, packed)
    (artefact / "extra").unlink()
    (artefact / GRAPH_DATA).unlink()
    with refused(IntegrityError, GRAPH_DATA):
        load(artefact, packed)


def test_the_packed_files_are_verified(artefact: Path, packed: Path):
    damage(packed / GRAPH_DATA)
    with refused(IntegrityError, GRAPH_DATA):
        load(artefact, packed)


def test_the_files_that_the_engine_reads_are_watched(artefact: Path, packed: Path):
    engine = load(artefact, packed)
    try:
        assert engine._watch is not None
        for path, is_read in (
            (artefact / GRAPH_DATA, False),
            (packed / GRAPH_DATA, True),
            (artefact / TOKENIZER, True),
        ):
            before = engine.stats().files_changed
            damage(path)
            engine._watch.look()
            assert engine.stats().files_changed == before + is_read
    finally:
        engine.close()
