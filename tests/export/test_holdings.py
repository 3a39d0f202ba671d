"""What a graph is predicted to hold is what it holds."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.numpy_helper import to_array

from appliance.artefact.folder import read_manifest
from appliance.artefact.manifest import GRAPH, ORT_CPU
from appliance.layout import Layout
from appliance.store import open_model
from export.architecture import describe
from export.checkpoint import open_checkpoint
from export.holdings import Sizes, held
from export.lowering import ort
from export.pipeline import LOWERINGS, export_model
from export.presets import PRESETS, Preset
from tests.checkpoints import HIDDEN, VOCABULARY, head_dim, make_tiny_checkpoint
from tests.export.progress import Steps
from tests.gguf_files import make_tiny_gguf
from tests.installed import files_in, install_checkpoint
from tests.real_model import NAME, artefact_of


def held_bytes(graph: Path) -> int:
    """Bytes of all weights of a graph, without the gaps between them in the file; sizes and shapes are no weights."""
    total = 0
    for tensor in onnx.load(graph, load_external_data=False).graph.initializer:
        if tensor.data_type != onnx.TensorProto.INT64:
            entries = {entry.key: entry.value for entry in tensor.external_data}
            total += int(entries["length"]) if entries else onnx.numpy_helper.to_array(tensor).nbytes
    return total


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
@pytest.mark.parametrize("model_type", ["qwen2", "qwen3"])
@pytest.mark.parametrize("tie", [False, True])
def test_the_weights_of_a_graph_are_predicted(tmp_path: Path, preset: Preset, model_type: str, tie: bool) -> None:
    folder = make_tiny_checkpoint(tmp_path / "c", model_type, tie=tie, layers=4, inner=192)
    checkpoint = open_checkpoint(files_in(folder))
    architecture = describe(checkpoint.config)
    (tmp_path / "graph").mkdir()
    build = LOWERINGS[preset.runtime]
    build(checkpoint, architecture, preset, VOCABULARY, tmp_path / "graph", lambda _done, _total: None)
    predicted = Sizes.of(checkpoint, architecture, preset).weights_bytes
    # To the byte where nothing but the checkpoint's tensors is held.
    tolerance = 0 if preset.runtime == ORT_CPU else 0.02
    assert predicted == pytest.approx(held_bytes(tmp_path / "graph" / GRAPH), rel=tolerance)


@pytest.mark.parametrize(("kind", "bits"), [("Q5_0", 5), ("Q8_0", 6), ("Q4_1", 6)])
def test_blocks_of_5_bits_in_a_gguf_file_are_kept(tmp_path: Path, kind: str, bits: int) -> None:
    """Those of Q4_1 have a minimum, which no symmetric block holds: they get the preset's bits as all others."""
    checkpoint = open_checkpoint({"tiny.gguf": make_tiny_gguf(tmp_path / "tiny.gguf", kind=kind)})
    architecture = describe(checkpoint.config)
    (tmp_path / "graph").mkdir()
    preset = PRESETS["balanced"]
    ort.build(checkpoint, architecture, preset, VOCABULARY, tmp_path / "graph", lambda _done, _total: None)
    graph = onnx.load(tmp_path / "graph" / GRAPH).graph
    (levels,) = (to_array(each) for each in graph.initializer if each.name == "model.layers.0.mlp.gate.packed")
    assert np.abs(levels.astype(int) - 128).max() == 1 << (bits - 1)
    predicted = Sizes.of(checkpoint, architecture, preset)
    assert predicted.weights_bytes == held_bytes(tmp_path / "graph" / GRAPH)
    assert predicted.read_bytes < predicted.weights_bytes


def test_the_cache_is_what_the_manifest_says(tmp_path: Path) -> None:
    layout = Layout(root=tmp_path / "root", cache=tmp_path / "cache")
    install_checkpoint(layout, "tiny", files_in(make_tiny_checkpoint(tmp_path / "checkpoint", "qwen3")))
    manifest = export_model(layout, "tiny", "cpu", "precise", Steps()).manifest
    checkpoint = open_checkpoint(open_model(layout, "tiny").files)
    sizes = Sizes.of(checkpoint, describe(checkpoint.config), PRESETS["precise"])
    assert sizes.cache_bytes_per_token == manifest.shape.cache_bytes_per_token
    assert sizes.context_tokens == manifest.shape.context_tokens


@pytest.mark.parametrize("tie", [False, True])
def test_a_step_reads_all_but_the_tables_that_rows_are_looked_up_in(tmp_path: Path, tie: bool) -> None:
    checkpoint = open_checkpoint(files_in(make_tiny_checkpoint(tmp_path / "checkpoint", tie=tie)))
    architecture = describe(checkpoint.config)
    sizes = Sizes.of(checkpoint, architecture, PRESETS["float32"])
    rows_but_one = (VOCABULARY - 1) * HIDDEN + (architecture.context_tokens - 1) * head_dim("qwen2")
    assert sizes.weights_bytes - sizes.read_bytes == rows_but_one * 4


def test_every_element_of_the_checkpoint_is_held(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(files_in(make_tiny_checkpoint(tmp_path / "checkpoint")))
    architecture = describe(checkpoint.config)
    rotary = architecture.context_tokens * head_dim("qwen2")
    elements = sum(math.prod(checkpoint.shape(name)) for name in checkpoint.names())
    assert sum(each.elements for each in held(checkpoint, architecture, PRESETS["precise"])) == elements + rotary


@pytest.mark.model
def test_the_real_models_file_and_cache_are_predicted(real_box: Layout) -> None:
    folder = artefact_of(real_box)
    manifest = read_manifest(folder)
    checkpoint = open_checkpoint(open_model(real_box, NAME).files)
    sizes = Sizes.of(checkpoint, describe(checkpoint.config), PRESETS[manifest.preset])
    # The file also has gaps: each tensor begins at a page.
    assert sizes.weights_bytes == pytest.approx((folder / f"{GRAPH}.data").stat().st_size, rel=0.02)
    assert sizes.cache_bytes_per_token == manifest.shape.cache_bytes_per_token
