"""Exports for a GPU on a machine without one: what is installed, how it was measured, and when float16 is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from appliance import targets
from appliance.artefact.folder import read_manifest
from appliance.artefact.gate import check_graph
from appliance.artefact.manifest import ORT_CUDA, TOKENIZER
from appliance.artefact.tokenizer import load_tokenizer
from appliance.errors import QualityError
from appliance.layout import Layout
from appliance.store import ArtefactStore
from export import pipeline
from export.pipeline import Exported, export_model
from export.presets import PRESETS, REFERENCE
from export.quality.magnitudes import ALLOWED, FLOAT16_MAX
from export.quality.reading import Material
from export.quality.report import REPORT
from tests.checkpoints import KV_HEADS, VOCABULARY, head_dim, make_tiny_checkpoint
from tests.export.lowering import graphs
from tests.export.progress import Steps
from tests.export.test_pipeline import KILLED
from tests.installed import files_in, install_checkpoint
from tests.refusals import refused

MODEL = "tiny"
TARGET = "cuda-sm90"
CUDA = [name for name, preset in PRESETS.items() if preset.runtime == ORT_CUDA]
DOWN = "model.layers.1.mlp.down_proj.weight"


def layout_in(folder: Path, model_type: str = "qwen2", scale: float = 1.0) -> Layout:
    """A box with a tiny model installed, one of whose matrices is scaled."""
    layout = Layout(root=folder / "root", cache=folder / "cache")
    source = make_tiny_checkpoint(folder / "checkpoint", model_type)
    tensors = load_file(source / "model.safetensors")
    save_file({**tensors, DOWN: tensors[DOWN] * np.float32(scale)}, source / "model.safetensors")
    install_checkpoint(layout, MODEL, files_in(source))
    return layout


def export(layout: Layout, preset: str, steps: Steps | None = None) -> Exported:
    return export_model(layout, MODEL, TARGET, preset, steps or Steps())


def report_of(exported: Exported) -> dict[str, object]:
    document: dict[str, object] = json.loads((exported.folder / REPORT).read_bytes())
    return document


@pytest.mark.parametrize("preset", CUDA)
@pytest.mark.parametrize("model_type", ["qwen2", "qwen3"])
def test_the_artefact_says_what_computes_it_and_how_it_was_measured(
    tmp_path: Path, preset: str, model_type: str
) -> None:
    exported = export(layout_in(tmp_path, model_type), preset)
    manifest = read_manifest(exported.folder)
    check_graph(exported.folder, manifest)
    activations = PRESETS[preset].activations
    assert (manifest.target, manifest.preset, manifest.runtime) == (TARGET, preset, ORT_CUDA)
    assert manifest.shape.cache_dtype == activations
    assert manifest.shape.cache_bytes_per_token == 2 * 2 * KV_HEADS * head_dim(model_type) * 2
    assert "on the CPU, without a GPU: the weights as in the artefact" in manifest.quality["measured"]
    assert f"rounded to {activations}" in manifest.quality["measured"]
    assert report_of(exported)["figures"] == manifest.quality
    assert manifest.options["preset"]["activations"] == activations
    assert manifest.quality["mean_kl"] > 0


def test_the_default_of_a_gpu_is_bfloat16(tmp_path: Path) -> None:
    exported = export_model(layout_in(tmp_path), MODEL, TARGET, None, Steps())
    assert exported.manifest.preset == targets.get(TARGET).default_preset == "bf16"
    assert 0 < exported.manifest.quality["mean_kl"] < 0.001


def test_what_was_measured_is_not_measured_again(tmp_path: Path) -> None:
    layout = layout_in(tmp_path)
    first, steps = export(layout, "fp16"), Steps()
    assert first.kept_stages == ()
    second = export(layout, "fp16", steps)
    assert second.kept_stages == ("words", "graph", "reference", "magnitudes", "quality")
    assert steps.names == ["verify"]
    assert second.manifest.to_bytes() == first.manifest.to_bytes()
    assert export(layout, "bf16").kept_stages == ("words", "reference")


@pytest.mark.parametrize(
    ("step", "kept"),
    [
        ("magnitudes", ("words", "graph", "reference")),
        ("twin graph", ("words", "graph", "reference", "magnitudes")),
        ("quality", ("words", "graph", "reference", "magnitudes")),
    ],
)
def test_an_export_killed_while_it_measures_leaves_nothing(tmp_path: Path, step: str, kept: tuple[str, ...]) -> None:
    layout = layout_in(tmp_path)
    command = [sys.executable, "-c", KILLED, layout.root, layout.cache, step, TARGET, "fp16"]
    assert subprocess.run(command, check=False, cwd=Path(__file__).parents[2]).returncode == -9
    assert ArtefactStore(layout).every() == ()
    assert export(layout, "fp16").kept_stages == kept
    assert not [path for top in (layout.artefacts, layout.stages) for path in top.rglob(".tmp-*")]


def test_the_room_for_the_twin_is_asked_for_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(pipeline, "check_space", lambda needs: asked.append(sum(need.size_bytes for need in needs)))
    layout = layout_in(tmp_path)
    export_model(layout, MODEL, "cpu", "float32", Steps())
    needs = export(layout, "bf16").needs
    assert asked[1:] == [2 * needs.output_bytes + needs.float_bytes]


def test_the_report_has_the_magnitude_of_every_value(tmp_path: Path) -> None:
    exported = export(layout_in(tmp_path), "fp16")
    float16 = report_of(exported)["float16"]
    assert isinstance(float16, dict)
    reference = graphs.build(tmp_path / "again", REFERENCE)
    named = {name for node in graphs.load(reference).graph.node for name in node.output if name}
    assert set(float16["magnitudes"]) == named
    assert float16["greatest"]["magnitude"] == max(float16["magnitudes"].values())
    assert (float16["range"], float16["allowed"], float16["kept"]) == (FLOAT16_MAX, ALLOWED, True)
    assert exported.manifest.quality["greatest_magnitude"] == float16["greatest"]["magnitude"]


def test_the_magnitudes_are_those_of_the_texts(tmp_path: Path) -> None:
    exported = export(layout_in(tmp_path), "fp16")
    float16 = report_of(exported)["float16"]
    assert isinstance(float16, dict)
    reference = graphs.build(tmp_path / "again", REFERENCE)
    runner = graphs.runner(reference, REFERENCE, tokens=VOCABULARY)
    tokenizer = load_tokenizer((exported.folder / TOKENIZER).read_bytes())
    texts = Material.of(tokenizer, exported.manifest.shape.context_tokens).texts
    # Of the logits, those of each text's last token were computed.
    greatest = max(float(np.abs(list(runner.logits(ids))[-1][-1]).max()) for ids in texts)
    assert float16["magnitudes"]["logits"] == pytest.approx(greatest, abs=2e-3)


def test_a_model_that_leaves_float16_is_refused_by_the_name_of_what_does(tmp_path: Path) -> None:
    layout = layout_in(tmp_path, scale=5e4)
    with refused(QualityError, "model.layers.1.", "65,504") as caught:
        export(layout, "fp16")
    assert "bfloat16 preset" in caught.value.hint
    assert not list(layout.artefacts.rglob("manifest.json"))
    assert export(layout, "bf16").was_installed


def test_a_weight_that_float16_cannot_hold_is_refused_too(tmp_path: Path) -> None:
    layout = layout_in(tmp_path, scale=1e7)
    with refused(QualityError, "model.layers.1.mlp.down.weight") as caught:
        export(layout, "fp16")
    assert "bfloat16 preset" in caught.value.hint
    assert not list(layout.artefacts.rglob("manifest.json"))


def test_half_of_the_range_is_left_free(tmp_path: Path) -> None:
    """The same matrix, scaled so that its product lands within the range and beyond what is allowed of it."""
    plain = report_of(export(layout_in(tmp_path / "plain"), "fp16"))["float16"]
    assert isinstance(plain, dict)
    product = plain["magnitudes"]["model.layers.1.mlp.down"]
    with refused(QualityError, "half"):
        export(layout_in(tmp_path / "much", scale=0.75 * FLOAT16_MAX / product), "fp16")
    assert export(layout_in(tmp_path / "little", scale=0.25 * FLOAT16_MAX / product), "fp16").was_installed
