"""Every reader of artefacts that serves only text generation refuses an embedding model by its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.artefact.manifest import GRAPH, MANIFEST_NAME, TENSORRT, Embedding, FileEntry, Manifest
from appliance.engine.engine import Engine
from appliance.errors import UnsupportedError
from appliance.gateway.chat.served_model import ServedModel
from appliance.inference.config import EngineConfig
from appliance.layout import Layout
from appliance.packed.record import PackedKey
from appliance.tensorrt.plan_key import Profile
from appliance.tensorrt.plan_store import PlanStore
from appliance.tensorrt.usual_profile import usual_profile
from tests.refusals import refused

MODEL = "tiny-embedder"
MANIFEST = Manifest(
    model=MODEL,
    target="cpu",
    preset="float32",
    architecture="bert",
    task=Embedding(
        dimensions=8,
        max_tokens=16,
        pooling="mean",
        normalised=True,
        vocabulary=50,
        first_token_ids=(2,),
        last_token_ids=(3,),
    ),
    files=(FileEntry(GRAPH, 1, "0" * 64),),
    inputs={},
)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A box whose only artefact is one of an embedding model."""
    layout = Layout(root=tmp_path / "root", cache=tmp_path / "cache")
    folder = layout.plain_artefact(MODEL, "cpu", "float32")
    folder.mkdir(parents=True)
    (folder / MANIFEST_NAME).write_bytes(MANIFEST.to_bytes())
    return layout


@pytest.mark.parametrize(
    "read",
    [
        lambda folder: Engine.load(folder, EngineConfig()),
        ServedModel.load,
        lambda _: PackedKey.of(MANIFEST, "0" * 64),
        lambda folder: usual_profile(
            PlanStore(folder / "engines"), replace(MANIFEST, runtime=TENSORRT), Profile(1, 64, 16)
        ),
    ],
)
def test_a_reader_refuses_it_before_it_reads_a_file(layout: Layout, read: Callable[[Path], Any]):
    with refused(UnsupportedError, f"{MODEL} is an embedding model"):
        read(layout.plain_artefact(MODEL, "cpu", "float32"))
