"""`appliance up` packs a quantised artefact for the operators, serves it, and says which operators compute it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from appliance.artefact.folder import read_manifest
from appliance.artefact.manifest import GRAPH, GRAPH_DATA
from appliance.derived.store import RECORD
from appliance.errors import IntegrityError, UnsupportedError
from appliance.layout import Layout
from appliance.ops.library import library
from appliance.ops.machine import this_machine
from appliance.packed import served
from appliance.packed.served import ServedGraph, served_graph
from tests.packed.conftest import PRESET
from tests.packed.small_artefact import make_small_artefact
from tests.running_box import RunningBox
from tests.tiny_artefact import TINY, make_tiny_artefact


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    scratch = tmp_path_factory.mktemp("small")
    return make_small_artefact(scratch / "artefact", scratch / "checkpoint", PRESET)


@pytest.fixture
def root(small: Path, tmp_path: Path) -> Path:
    """A root with the artefact, not packed yet."""
    shutil.copytree(small, tmp_path / "exports" / TINY / "cpu-balanced")
    return tmp_path


def _packed(root: Path, told: list[str] | None = None) -> Path:
    """The packed graph of the artefact in the root; it is packed if necessary."""
    artefact = root / "exports" / TINY / "cpu-balanced"
    note = (told if told is not None else []).append
    graph = served_graph(Layout(root, root / "cache"), artefact, read_manifest(artefact), note)
    assert graph.packed is not None
    return graph.packed


def _lines(box: RunningBox) -> int:
    return box.output.read_text().count("packing the weights")


@pytest.mark.triton
def test_the_weights_are_packed_once_and_status_names_the_operators(root: Path):
    if this_machine() is None:
        pytest.skip("no operators for this machine")
    answers = []
    for _ in range(2):
        with RunningBox(root) as box:
            with box.completion(max_tokens=8, ignore_eos=True, temperature=0) as answer:
                answers.append(json.load(answer)["choices"][0]["text"])
            (model,) = box.status["models"].values()
            assert model["operators"] == library().kernels
            assert f"operators {library().kernels}" in box.call("status").stdout
        assert _lines(box) == 1
    assert answers[0] == answers[1]


@pytest.mark.triton
@pytest.mark.parametrize("name", [GRAPH, GRAPH_DATA])
def test_a_damaged_packed_file_is_an_error_that_names_the_folder_to_remove(root: Path, name: str):
    packed = _packed(root)
    content = (packed / name).read_bytes()
    (packed / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    box = RunningBox(root)
    box.start()
    assert box.process.wait() == IntegrityError.exit_code
    assert f"remove the folder {packed}" in box.output.read_text()
    shutil.rmtree(packed)
    assert (_packed(root) / name).read_bytes() == content


def test_a_damaged_record_is_made_again(root: Path):
    (_packed(root) / RECORD).write_text("{}")
    told: list[str] = []
    packed = _packed(root, told)
    assert len(told) == 1
    assert _packed(root, told) == packed
    assert len(told) == 1


def test_a_cpu_without_kernels_is_served_the_portable_graph_and_is_told(root: Path, monkeypatch: pytest.MonkeyPatch):
    def without() -> None:
        raise UnsupportedError("the operators have no kernels for this CPU")

    monkeypatch.setattr(served, "operator_library", without)
    artefact = root / "exports" / TINY / "cpu-balanced"
    told: list[str] = []
    graph = served_graph(Layout(root, root / "cache"), artefact, read_manifest(artefact), told.append)
    assert graph == ServedGraph(operators="onnxruntime (the operators have no kernels for this CPU)")
    assert len(told) == 1


def test_a_graph_that_no_operator_computes_is_served_as_it_is(tmp_path: Path):
    artefact = make_tiny_artefact(tmp_path / "exports" / TINY / "cpu-balanced", tmp_path / "scratch")
    graph = served_graph(Layout(tmp_path, tmp_path / "cache"), artefact, read_manifest(artefact), lambda _line: None)
    assert graph.packed is None
    assert graph.operators.startswith("onnxruntime (")
