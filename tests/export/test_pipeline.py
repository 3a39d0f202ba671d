"""A whole export of tiny models: what is installed, that it repeats, that nothing is ever installed by halves."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from appliance import disk, targets
from appliance.artefact.folder import read_manifest
from appliance.artefact.gate import check_graph
from appliance.artefact.manifest import Manifest
from appliance.errors import IntegrityError, NoSpaceError, QualityError, UnknownModelError, UnsupportedError
from appliance.layout import Layout
from appliance.store import ArtefactStore, open_model
from appliance.targets import Target
from export import pipeline
from export.exported import Exported
from export.pipeline import export_model
from export.presets import DEFAULT, PRESETS
from tests.checkpoints import CHAT_TEMPLATE, make_tiny_checkpoint
from tests.export.progress import Steps
from tests.gguf_files import make_tiny_gguf
from tests.installed import files_in, install_checkpoint
from tests.refusals import refused

MODEL = "tiny"
# Of random weights it keeps its tolerance.
PRESET = "precise"
STAGES = ("words", "graph", "reference", "quality")


def layout_in(folder: Path, **checkpoint: Any) -> Layout:
    """A box with a tiny model installed."""
    layout = Layout(root=folder / "root", cache=folder / "cache")
    install_checkpoint(layout, MODEL, files_in(make_tiny_checkpoint(folder / "checkpoint", **checkpoint)))
    return layout


def export(layout: Layout, preset: str = PRESET, steps: Steps | None = None) -> Exported:
    return export_model(layout, MODEL, "cpu", preset, steps or Steps())


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return layout_in(tmp_path)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """The manifest of an undisturbed export."""
    return export(layout_in(tmp_path_factory.mktemp("undisturbed"))).manifest


def test_the_artefact_passes_the_gate_and_says_what_it_is(layout: Layout) -> None:
    exported = export(layout)
    manifest = read_manifest(exported.folder)
    check_graph(exported.folder, manifest)
    assert exported.folder == ArtefactStore(layout).releases(MODEL, f"cpu-{PRESET}").current()
    assert manifest == exported.manifest
    assert [file.name for file in manifest.files] == [
        "chat_template.jinja",
        "model.onnx",
        "model.onnx.data",
        "report.json",
        "tokenizer.json",
    ]
    assert manifest.shape.tokens == 259
    assert manifest.shape.vocabulary == 320
    assert manifest.generation.eos_token_ids == (258, 256)
    assert manifest.inputs == {file.name: file.sha256 for file in open_model(layout, MODEL).entry.files}
    assert (exported.folder / "chat_template.jinja").read_text() == CHAT_TEMPLATE
    assert manifest.license == "Apache-2.0"
    assert manifest.provenance == "made by a test"


def test_the_report_is_part_of_the_artefact(layout: Layout) -> None:
    exported = export(layout)
    report = json.loads((exported.folder / "report.json").read_bytes())
    assert report["figures"] == exported.manifest.quality
    assert set(report["kinds"]) == {"code", "prose", "language", "chat"}
    assert "tensors in F32; brought to 32-bit floats" in report["reference"]
    assert 0 < report["figures"]["mean_kl"] <= report["tolerance"]["max_mean_kl"]
    assert report["figures"]["tokens"] == sum(text["tokens"] for text in report["texts"].values()) > 1000


def test_the_unquantised_preset_differs_from_its_reference_by_nothing(layout: Layout) -> None:
    quality = export(layout, "float32").manifest.quality
    assert quality["mean_kl"] < 1e-6
    assert quality["top1_agreement"] == 1
    assert quality["greedy_agreement"] == 1
    assert quality["perplexity"] == quality["reference_perplexity"]


@pytest.mark.parametrize("model_type", ["qwen2", "qwen3", "llama"])
def test_a_gguf_file_is_exported_too(tmp_path: Path, model_type: str) -> None:
    layout = Layout(root=tmp_path / "root", cache=tmp_path / "cache")
    install_checkpoint(layout, MODEL, {"a.gguf": make_tiny_gguf(tmp_path / "a.gguf", model_type, kind="Q8_0")})
    manifest = export(layout).manifest
    assert manifest.architecture == model_type
    assert "tensors in F32, Q8_0" in manifest.quality["reference"]


def test_the_same_inputs_give_the_same_artefact_anywhere(layout: Layout, expected: Manifest) -> None:
    assert export(layout).manifest.to_bytes() == expected.to_bytes()


def test_a_repeated_export_makes_and_installs_nothing(layout: Layout) -> None:
    first = export(layout)
    written = {path: path.stat().st_mtime_ns for path in first.folder.iterdir()}
    steps = Steps()
    second = export(layout, steps=steps)
    assert (first.was_installed, second.was_installed) == (True, False)
    assert second.kept_stages == STAGES
    assert steps.names == ["verify"]
    assert {path: path.stat().st_mtime_ns for path in second.folder.iterdir()} == written


def test_the_same_gguf_file_under_other_names_makes_nothing_again(tmp_path: Path) -> None:
    layout = Layout(root=tmp_path / "root", cache=tmp_path / "cache")
    path = make_tiny_gguf(tmp_path / "a.gguf", kind="Q8_0")
    install_checkpoint(layout, MODEL, {"a.gguf": path})
    (tmp_path / "NOTICE").write_text("for people")
    install_checkpoint(layout, "other", {"Another-Name.GGUF": path, "NOTICE": tmp_path / "NOTICE"})
    first = export(layout)
    second = export_model(layout, "other", "cpu", PRESET, Steps())
    assert second.kept_stages == STAGES
    assert second.manifest.quality == first.manifest.quality
    assert set(second.manifest.inputs) == {"Another-Name.GGUF", "NOTICE"}


def test_another_gguf_file_with_the_same_tensors_has_a_report_of_its_own(tmp_path: Path) -> None:
    layout = Layout(root=tmp_path / "root", cache=tmp_path / "cache")
    path = make_tiny_gguf(tmp_path / "weights.gguf", kind="Q8_0")
    install_checkpoint(layout, MODEL, {"weights.gguf": path})
    # Bytes at the end belong to no tensor.
    path.write_bytes(path.read_bytes() + bytes(32))
    install_checkpoint(layout, "other", {"weights.gguf": path})
    export(layout)
    other = export_model(layout, "other", "cpu", PRESET, Steps()).manifest
    assert other.inputs["weights.gguf"] in other.quality["reference"]


def test_a_model_that_loses_too_much_with_the_default_preset_is_exported_with_the_finer_one(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = replace(PRESETS[DEFAULT], max_mean_kl=1e-6)
    monkeypatch.setattr(pipeline, "PRESETS", {**PRESETS, DEFAULT: strict})
    steps = Steps()
    exported = export_model(layout, MODEL, "cpu", None, steps)
    assert exported.manifest.preset == PRESETS[DEFAULT].finer
    assert exported.kept_stages == ("words", "reference")
    assert exported.manifest.quality["mean_kl"] <= exported.manifest.quality["max_mean_kl"]
    assert any(PRESETS[DEFAULT].finer in note for note in steps.notes)
    with pytest.raises(QualityError):
        export(layout, DEFAULT)


@pytest.mark.parametrize("target", targets.targets().values(), ids=lambda target: target.name)
def test_a_finer_preset_is_one_of_the_targets(target: Target) -> None:
    finer = PRESETS[target.default_preset].finer
    assert not finer or finer in target.presets


def test_a_second_preset_uses_the_same_reference(layout: Layout) -> None:
    export(layout)
    assert export(layout, "float32").kept_stages == ("words", "reference")


@pytest.mark.parametrize("name", ["model.onnx.data", "manifest.json", "tokenizer.json"])
def test_a_damaged_artefact_is_replaced(layout: Layout, name: str) -> None:
    exported = export(layout)
    damaged = exported.folder / name
    damaged.write_bytes(damaged.read_bytes()[:-1])
    again = export(layout)
    assert again.was_installed
    check_graph(again.folder, read_manifest(again.folder))
    assert again.folder == ArtefactStore(layout).releases(MODEL, f"cpu-{PRESET}").current() != exported.folder
    assert {path.name for path in again.folder.parent.iterdir()} == {again.folder.name, "current"}


def test_a_changed_checkpoint_is_refused(layout: Layout) -> None:
    stored = open_model(layout, MODEL).files["model.safetensors"]
    stored.chmod(0o644)
    content = bytearray(stored.read_bytes())
    content[-1] ^= 1
    stored.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"model\.safetensors"):
        export(layout)
    assert not layout.artefacts.exists()


def test_a_missed_tolerance_installs_nothing_and_keeps_the_report(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = replace(PRESETS[PRESET], max_mean_kl=1e-6)
    monkeypatch.setattr(pipeline, "PRESETS", {PRESET: strict})
    with refused(QualityError, "1e-06") as caught:
        export(layout)
    report = Path(caught.value.hint.split("the report is ")[1].split(";")[0])
    assert json.loads(report.read_bytes())["tolerance"]["kept"] is False
    assert ArtefactStore(layout).every() == ()


@pytest.mark.parametrize(
    ("model", "target", "preset", "message"),
    [
        ("absent", "cpu", PRESET, "'absent' is not installed"),
        (MODEL, "tpu", PRESET, "no target 'tpu'.*cpu"),
        (MODEL, "cpu", "tiniest", "no preset 'tiniest'.*balanced"),
    ],
)
def test_unknown_names_are_refused(layout: Layout, model: str, target: str, preset: str, message: str) -> None:
    with pytest.raises(UnknownModelError, match=message):
        export_model(layout, model, target, preset, Steps())


def test_an_unknown_configuration_key_is_refused(tmp_path: Path) -> None:
    with refused(UnsupportedError, "layer_scale"):
        export(layout_in(tmp_path, layer_scale=2))


def test_too_little_memory_is_told_before_the_work(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1000))
    steps = Steps()
    with refused(NoSpaceError, "memory"):
        export(layout, steps=steps)
    assert "graph" not in steps.names


def test_too_little_disk_is_told_before_the_work(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "free_bytes", lambda _folder: 1000)
    steps = Steps()
    with refused(NoSpaceError, "export"):
        export(layout, steps=steps)
    assert "graph" not in steps.names


KILLED = """
import os, signal, sys
from pathlib import Path
from appliance.layout import Layout
from export.pipeline import export_model
from tests.export.progress import Steps

def at(name, done, total):
    if name == sys.argv[3] and 2 * done >= total:
        os.kill(os.getpid(), signal.SIGKILL)

export_model(Layout(Path(sys.argv[1]), Path(sys.argv[2])), "tiny", sys.argv[4], sys.argv[5], Steps(at))
"""


@pytest.mark.parametrize(
    ("step", "kept"),
    [
        ("verify", ()),
        ("tokenizer", ()),
        ("graph", ("words",)),
        ("reference graph", ("words", "graph")),
        ("reference", ("words", "graph")),
        ("quality", ("words", "graph", "reference")),
        ("install", STAGES),
    ],
)
def test_an_export_killed_halfway_leaves_nothing_and_goes_on_where_it_stopped(
    layout: Layout, expected: Manifest, step: str, kept: tuple[str, ...]
) -> None:
    command = [sys.executable, "-c", KILLED, layout.root, layout.cache, step, "cpu", PRESET]
    killed = subprocess.run(command, check=False, cwd=Path(__file__).parents[2])
    assert killed.returncode == -9
    assert ArtefactStore(layout).every() == ()
    exported = export(layout)
    assert exported.kept_stages == kept
    assert exported.manifest.to_bytes() == expected.to_bytes()
    check_graph(exported.folder, exported.manifest)
    left = [path for top in (layout.artefacts, layout.stages) for path in top.rglob(".tmp-*")]
    assert left == []
