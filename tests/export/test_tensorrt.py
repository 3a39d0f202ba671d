"""Exports for TensorRT on a machine without a GPU: what is installed, and how it was measured."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from appliance import targets
from appliance.artefact.folder import read_manifest
from appliance.artefact.gate import check_graph
from appliance.artefact.manifest import TENSORRT
from appliance.errors import UnsupportedError
from appliance.layout import Layout
from export.pipeline import export_as, export_model
from export.presets import PRESETS
from export.quality.report import REPORT
from tests.checkpoints import make_tiny_checkpoint
from tests.export.progress import Steps
from tests.installed import files_in, install_checkpoint

MODEL = "tiny"
TARGET = "jetson-orin-nano-8g"
NAMES = [name for name, preset in PRESETS.items() if preset.runtime == TENSORRT]


def layout_in(folder: Path, model_type: str = "qwen2", inner: int = 192) -> Layout:
    layout = Layout(root=folder / "root", cache=folder / "cache")
    install_checkpoint(layout, MODEL, files_in(make_tiny_checkpoint(folder / "checkpoint", model_type, inner=inner)))
    return layout


@pytest.mark.parametrize("model_type", ["qwen2", "qwen3"])
def test_a_jetsons_default_is_exported_and_keeps_its_tolerance(tmp_path: Path, model_type: str) -> None:
    exported = export_model(layout_in(tmp_path, model_type), MODEL, TARGET, None, Steps())
    manifest = read_manifest(exported.folder)
    check_graph(exported.folder, manifest)
    assert (manifest.target, manifest.runtime, manifest.preset) == (TARGET, TENSORRT, "tensorrt-bf16")
    assert manifest.shape.cache_dtype == "bfloat16"
    assert 0 < manifest.quality["mean_kl"] <= PRESETS["tensorrt-bf16"].max_mean_kl
    assert "the graph for ONNX Runtime with the weights as in the artefact" in manifest.quality["measured"]
    assert json.loads((exported.folder / REPORT).read_bytes())["figures"] == manifest.quality


def test_coarser_weights_are_measured_as_such(tmp_path: Path) -> None:
    """Random weights lose more than trained ones, so any loss is allowed."""
    layout = layout_in(tmp_path)
    losses = {
        name: export_as(layout, MODEL, TARGET, replace(PRESETS[name], max_mean_kl=10.0), Steps()).manifest.quality[
            "mean_kl"
        ]
        for name in NAMES
    }
    assert sorted(losses, key=lambda name: losses[name]) == [
        "tensorrt-fp16",
        "tensorrt-bf16",
        "tensorrt-int8",
        "tensorrt-int4",
    ]


def test_every_target_with_tensorrt_offers_its_presets() -> None:
    for target in map(targets.get, targets.targets()):
        offered = [name for name in target.presets if PRESETS[name].runtime == TENSORRT]
        assert offered == (NAMES if target.tensorrt else []), target.name


def test_blocks_that_do_not_fit_are_refused_and_nothing_is_installed(tmp_path: Path) -> None:
    layout = layout_in(tmp_path, inner=160)
    with pytest.raises(UnsupportedError, match="cannot be divided into blocks of 64") as caught:
        export_model(layout, MODEL, TARGET, "tensorrt-int4", Steps())
    assert caught.value.hint == "choose another preset"
    assert not list(layout.exports.rglob("manifest.json"))
