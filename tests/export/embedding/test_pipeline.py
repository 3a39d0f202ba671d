"""A whole export of a tiny embedding model: what is installed, that it repeats, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest
from click.testing import CliRunner
from safetensors.numpy import load_file, save_file

from appliance import disk
from appliance.artefact.folder import read_manifest
from appliance.artefact.gate import check_graph
from appliance.artefact.manifest import Embedding
from appliance.artefact.tokenizer import load_tokenizer
from appliance.cli.root import command as root
from appliance.errors import NoSpaceError, QualityError, UnsupportedError, UsageError
from appliance.layout import Layout
from appliance.store import ArtefactStore, open_model
from export.estimate import estimate
from export.exported import Exported
from export.lowering import encoder as lowering
from export.pipeline import export_model
from tests.encoders import make_tiny_encoder
from tests.export.embedding.folders import write
from tests.export.progress import Steps
from tests.installed import files_in, install_checkpoint
from tests.refusals import refused

MODEL = "tiny"
PROMPTS = {"prompts": {"query": "query : ", "STS": "one "}}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = make_tiny_encoder(tmp_path / "checkpoint")
    write(folder, "config_sentence_transformers.json", PROMPTS)
    return folder


@pytest.fixture
def layout(tmp_path: Path, checkpoint: Path) -> Layout:
    """A box with the tiny model installed."""
    layout = Layout(root=tmp_path / "root", cache=tmp_path / "cache")
    install_checkpoint(layout, MODEL, files_in(checkpoint))
    return layout


def export(layout: Layout, steps: Steps | None = None, *, target: str = "cpu", preset: str | None = None) -> Exported:
    return export_model(layout, MODEL, target, preset, steps or Steps())


def test_the_artefact_passes_the_gate_and_says_what_it_is(layout: Layout):
    steps = Steps()
    exported = export(layout, steps)
    manifest = read_manifest(exported.folder)
    check_graph(exported.folder, manifest)
    assert manifest == exported.manifest
    assert exported.folder == ArtefactStore(layout).releases(MODEL, "cpu-float32").current()
    assert [file.name for file in manifest.files] == ["model.onnx", "model.onnx.data", "report.json", "tokenizer.json"]
    assert manifest.task == Embedding(32, 32, "mean", True, 50, (2,), (3,), {"query": "query : "})
    assert (manifest.architecture, manifest.license, manifest.runtime) == ("bert", "Apache-2.0", "onnxruntime-cpu")
    assert manifest.inputs == {file.name: file.sha256 for file in open_model(layout, MODEL).entry.files}
    assert load_tokenizer((exported.folder / "tokenizer.json").read_bytes()).encode("the").ids == [2, 4, 3]
    assert any("'STS'" in note for note in steps.notes)
    assert {"tokenizer", "graph", "reference", "quality"} <= set(steps.names)


def test_the_report_is_part_of_the_artefact(layout: Layout):
    exported = export(layout)
    report = json.loads((exported.folder / "report.json").read_bytes())
    figures = exported.manifest.quality
    assert report["figures"] == figures
    assert "tensors in F32" in report["reference"]
    assert figures["lowest_cosine"] > 0.999_999
    assert 0 < figures["largest_difference"] < 1e-4
    assert figures["texts"] == len(report["texts"]) == 17


def test_a_repeated_export_makes_and_installs_nothing(layout: Layout):
    first, steps = export(layout), Steps()
    second = export(layout, steps, preset="float32")
    assert (first.was_installed, second.was_installed) == (True, False)
    assert second.kept_stages == ("words", "graph", "reference", "quality")
    assert second.manifest.to_bytes() == first.manifest.to_bytes()
    assert steps.names == ["verify"]


def test_another_prompt_is_another_artefact(layout: Layout, checkpoint: Path, tmp_path: Path):
    first = export(layout).manifest
    write(checkpoint, "config_sentence_transformers.json", {"prompts": {"query": "the "}})
    other = Layout(root=tmp_path / "other", cache=layout.cache)
    install_checkpoint(other, MODEL, files_in(checkpoint))
    second = export(other).manifest
    assert second.embedding.prefixes == {"query": "the "}
    assert second.to_bytes() != first.to_bytes()


@pytest.mark.parametrize(("target", "preset"), [("cpu", "balanced"), ("cuda-sm90", None), ("cuda-sm90", "bf16")])
def test_another_preset_or_target_is_refused(layout: Layout, target: str, preset: str | None):
    with refused(UsageError, MODEL, "cpu", "float32"):
        export(layout, target=target, preset=preset)
    assert not layout.artefacts.exists()


def test_an_unsupported_setting_is_refused(layout: Layout, checkpoint: Path, tmp_path: Path):
    write(checkpoint, "1_Pooling.config.json", {"pooling_mode": "max"})
    other = Layout(root=tmp_path / "other", cache=layout.cache)
    install_checkpoint(other, MODEL, files_in(checkpoint))
    with refused(UnsupportedError, "'max'"):
        export(other)


def test_a_graph_that_computes_something_else_is_not_installed(layout: Layout, monkeypatch: pytest.MonkeyPatch):
    build = lowering.build

    def wrong(checkpoint: Any, encoder: Any, pooling: Any, folder: Path, progress: Any) -> None:
        build(_Doubled(checkpoint), encoder, pooling, folder, progress)

    monkeypatch.setattr(lowering, "build", wrong)
    with refused(QualityError, "cosine") as caught:
        export(layout)
    report = Path(caught.value.hint.split("the report is ")[1].split(";")[0])
    assert json.loads(report.read_bytes())["tolerance"]["kept"] is False
    assert ArtefactStore(layout).every() == ()


class _Doubled:
    """A checkpoint of whose words the graph gets twice the values."""

    def __init__(self, checkpoint: Any) -> None:
        self._checkpoint = checkpoint

    def read(self, name: str) -> Any:
        return self._checkpoint.read(name) * (2 if "word_embeddings" in name else 1)


def test_weights_that_are_not_numbers_are_refused(layout: Layout, checkpoint: Path, tmp_path: Path):
    weights = load_file(checkpoint / "model.safetensors")
    weights["encoder.layer.1.output.dense.bias"][0] = np.nan
    save_file(weights, checkpoint / "model.safetensors")
    other = Layout(root=tmp_path / "other", cache=layout.cache)
    install_checkpoint(other, MODEL, files_in(checkpoint))
    with refused(QualityError, "nan"):
        export(other)


def test_too_little_memory_is_told_before_the_work(layout: Layout, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1000))
    steps = Steps()
    with refused(NoSpaceError, "memory"):
        export(layout, steps)
    assert "graph" not in steps.names


def test_too_little_disk_is_told_before_the_work(layout: Layout, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(disk, "free_bytes", lambda _folder: 1000)
    steps = Steps()
    with refused(NoSpaceError, "export"):
        export(layout, steps)
    assert "graph" not in steps.names


def test_the_memory_and_the_disk_are_those_of_the_graph(layout: Layout):
    exported = export(layout)
    written = (exported.folder / "model.onnx.data").stat().st_size
    # Each tensor begins at a page of 4096 bytes, which matters only in a model as tiny as this.
    assert abs(written - exported.needs.output_bytes) < 40 * 4096
    assert exported.needs.largest_bytes == 80 * 32 * 4


def test_no_throughput_is_predicted(layout: Layout):
    with refused(UnsupportedError, MODEL, "embedding"):
        estimate(layout, MODEL, "cpu", None, context_tokens=None, slots=None)


@pytest.fixture
def box(layout: Layout) -> CliRunner:
    return CliRunner(env={"APPLIANCE_ROOT": str(layout.root), "APPLIANCE_CACHE": str(layout.cache)})


def test_the_command_prints_the_lowest_cosine(box: CliRunner):
    ran = box.invoke(root, ["export", MODEL])
    assert ran.exit_code == 0
    assert "lowest cosine" in ran.stdout
    document = json.loads(box.invoke(root, ["export", MODEL, "--json"]).stdout)
    assert document["quality"]["lowest_cosine"] >= document["quality"]["min_cosine"] == 0.999
    shown = box.invoke(root, ["model", "show", MODEL])
    assert "cpu-float32: lowest cosine" in shown.stdout
    (listed,) = json.loads(box.invoke(root, ["model", "show", MODEL, "--json"]).stdout)["exports"]
    assert (listed["variant"], listed["quality"]) == ("cpu-float32", document["quality"])


def test_a_folder_of_the_library_becomes_an_artefact(box: CliRunner, checkpoint: Path):
    """With the pooling in its own folder, as sentence-transformers writes it."""
    (checkpoint / "1_Pooling").mkdir()
    (checkpoint / "1_Pooling.config.json").rename(checkpoint / "1_Pooling" / "config.json")
    pulled = box.invoke(root, ["model", "pull", "mine", "--from", str(checkpoint)])
    assert pulled.exit_code == 0
    for fact in ("embedding model", "bert", "32 dimensions", "at most 32 tokens", "'query : ' before a query", "'STS'"):
        assert fact in pulled.stderr
    assert box.invoke(root, ["export", "mine"]).exit_code == 0


def test_an_embedding_model_has_no_conversation(box: CliRunner, checkpoint: Path):
    words = ["model", "pull", "mine", "--from", str(checkpoint), "--conversation", "qwen3"]
    assert isinstance(box.invoke(root, words).exception, UsageError)


def test_a_model_without_the_librarys_files_is_refused_before_it_is_copied(
    box: CliRunner, checkpoint: Path, layout: Layout
):
    (checkpoint / "modules.json").unlink()
    ran = box.invoke(root, ["model", "pull", "mine", "--from", str(checkpoint)])
    assert isinstance(ran.exception, UnsupportedError)
    assert "modules.json" in ran.exception.message
    assert not (layout.models / "mine.json").exists()
