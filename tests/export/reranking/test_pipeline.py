"""A whole export of a tiny reranker: what is installed, what its report says, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import load_file, save_file

from appliance.artefact.folder import read_manifest
from appliance.artefact.gate import check_graph
from appliance.artefact.manifest import Reranking
from appliance.cli.root import command as root
from appliance.errors import IntegrityError, QualityError, UnsupportedError, UsageError
from appliance.layout import Layout
from appliance.store import ArtefactStore
from export.estimate import estimate
from export.lowering import encoder as lowering
from export.pipeline import export_model
from export.reranking.report import check_report
from tests.cross_encoders import make_tiny_cross_encoder
from tests.export.progress import Steps
from tests.installed import files_in, install_checkpoint
from tests.refusals import refused

MODEL = "tiny"


@pytest.fixture(params=["bert", "xlm-roberta"])
def checkpoint(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return make_tiny_cross_encoder(tmp_path / "checkpoint", request.param)


@pytest.fixture
def layout(tmp_path: Path, checkpoint: Path) -> Layout:
    """A box with the tiny model installed."""
    layout = Layout(root=tmp_path / "root", cache=tmp_path / "cache")
    install_checkpoint(layout, MODEL, files_in(checkpoint))
    return layout


def test_the_artefact_passes_the_gate_and_says_what_it_is(layout: Layout):
    exported = export_model(layout, MODEL, "cpu", None, Steps())
    manifest = read_manifest(exported.folder)
    check_graph(exported.folder, manifest)
    assert isinstance(manifest.task, Reranking)
    assert [file.name for file in manifest.files] == ["model.onnx", "model.onnx.data", "report.json", "tokenizer.json"]
    report = json.loads((exported.folder / "report.json").read_bytes())
    assert report["figures"] == manifest.quality
    assert 0 < manifest.quality["largest_difference"] < 1e-4
    # Pairs whose logits are all the same would prove nothing.
    assert np.ptp([pair["logit"] for pair in report["pairs"].values()]) > 0.01
    again = export_model(layout, MODEL, "cpu", "float32", Steps())
    assert (again.was_installed, again.kept_stages) == (False, ("words", "graph", "reference", "quality"))


@pytest.mark.parametrize("tensor", ["embeddings.word_embeddings.weight", "classifier"])
def test_a_graph_that_computes_something_else_is_not_installed(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, tensor: str
):
    build = lowering.build

    class Doubled:
        def __init__(self, checkpoint: Any) -> None:
            self._checkpoint = checkpoint

        def read(self, name: str) -> Any:
            return self._checkpoint.read(name) * (2 if tensor in name else 1)

    monkeypatch.setattr(lowering, "build", lambda checkpoint, *rest: build(Doubled(checkpoint), *rest))
    with refused(QualityError, "logit") as caught:
        export_model(layout, MODEL, "cpu", None, Steps())
    report = Path(caught.value.hint.split("the report is ")[1].split(";")[0])
    assert json.loads(report.read_bytes())["tolerance"]["kept"] is False
    assert ArtefactStore(layout).every() == ()


def test_weights_that_are_not_numbers_are_refused(layout: Layout, checkpoint: Path, tmp_path: Path):
    weights = load_file(checkpoint / "model.safetensors")
    name = next(name for name in weights if name.endswith("layer.1.output.dense.bias"))
    weights[name][0] = np.nan
    save_file(weights, checkpoint / "model.safetensors")
    other = Layout(root=tmp_path / "other", cache=layout.cache)
    install_checkpoint(other, MODEL, files_in(checkpoint))
    with refused(QualityError, "nan"):
        export_model(other, MODEL, "cpu", None, Steps())


def test_another_preset_and_a_prediction_are_refused(layout: Layout):
    with refused(UsageError, MODEL, "reranker", "float32"):
        export_model(layout, MODEL, "cpu", "balanced", Steps())
    with refused(UnsupportedError, MODEL, "reranker"):
        estimate(layout, MODEL, "cpu", None, context_tokens=None, slots=None)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"figures": {}, "tolerance": {"kept": true}}'])
def test_what_is_no_report_is_refused(content: bytes):
    with refused(IntegrityError, "report.json"):
        check_report(content, "report.json")


def test_the_commands_say_what_it_is(layout: Layout, checkpoint: Path):
    box = CliRunner(env={"APPLIANCE_ROOT": str(layout.root), "APPLIANCE_CACHE": str(layout.cache)})
    pulled = box.invoke(root, ["model", "pull", "mine", "--from", str(checkpoint)])
    assert pulled.exit_code == 0
    for fact in ("reranker", "at most 32 tokens"):
        assert fact in pulled.stderr
    ran = box.invoke(root, ["export", "mine"])
    assert ran.exit_code == 0
    assert "pairs" in ran.stdout
    assert "cpu-float32: largest difference" in box.invoke(root, ["model", "show", "mine"]).stdout
