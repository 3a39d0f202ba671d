"""A graph is packed once for each library; only whole packed graphs that this box signed are opened."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from appliance.artefact.folder import read_manifest
from appliance.artefact.manifest import GRAPH, GRAPH_DATA
from appliance.derived.store import RECORD
from appliance.errors import IntegrityError, NoSpaceError, UnsupportedError
from appliance.lock import in_use
from appliance.packed import build
from appliance.packed.build import ensure_packed
from appliance.packed.matrix import attributes
from appliance.packed.open import PackedGraph
from appliance.packed.record import PackedKey
from appliance.packed.store import PackedStore
from appliance.packed.tensors import GraphTensors, TensorFile
from export.presets import Preset, Weights
from tests.packed.conftest import TABLE
from tests.packed.small_artefact import make_small_artefact
from tests.refusals import refused
from tests.tiny_artefact import make_tiny_artefact

LIBRARY, NEWER = "a" * 64, "b" * 64


@pytest.fixture
def store(tmp_path: Path) -> PackedStore:
    return PackedStore(tmp_path / "engines")


def pack(store: PackedStore, artefact: Path, library: str = LIBRARY) -> tuple[Path, list[str]]:
    """The packed graph, and the lines for the person who waits."""
    told: list[str] = []
    folder = ensure_packed(store, artefact, read_manifest(artefact), library, told.append)
    assert folder is not None
    return folder, told


def key(artefact: Path, library: str = LIBRARY) -> PackedKey:
    return PackedKey.of(read_manifest(artefact), library)


def opened(folder: Path, key: PackedKey) -> Path:
    return PackedGraph.find(folder, key).check()


def test_a_graph_is_packed_once_and_again_for_another_library(store: PackedStore, artefact: Path):
    first, told = pack(store, artefact)
    assert len(told) == 1
    assert pack(store, artefact) == (first, [])
    second, told = pack(store, artefact, NEWER)
    assert len(told) == 1
    assert store.current(read_manifest(artefact)) == second
    with refused(UnsupportedError, "operators"):
        opened(second, key(artefact))


def test_a_former_packed_graph_is_removed_unless_a_box_serves_it(store: PackedStore, artefact: Path):
    first, _ = pack(store, artefact)
    with in_use(first):
        second, _ = pack(store, artefact, NEWER)
        assert store.builds() == tuple(sorted((first, second)))
        assert opened(first, key(artefact)) == first / GRAPH
    third, _ = pack(store, artefact, "c" * 64)
    assert store.builds() == (third,)
    assert store.releases(read_manifest(artefact)).previous() is None


def test_another_artefact_has_a_packed_graph_of_its_own(store: PackedStore, artefact: Path):
    packed, _ = pack(store, artefact)
    other = dataclasses.replace(key(artefact), graph={**key(artefact).graph, GRAPH_DATA: "0" * 64})
    assert other.name != packed.name
    with refused(UnsupportedError, "graph"):
        opened(packed, other)


def test_a_graph_that_no_operator_supports_stays_portable(store: PackedStore, tmp_path: Path):
    folder = make_tiny_artefact(tmp_path / "floats", tmp_path / "scratch")
    assert ensure_packed(store, folder, read_manifest(folder), LIBRARY, lambda _line: None) is None
    assert store.builds() == ()


@pytest.mark.parametrize("name", [GRAPH, GRAPH_DATA])
@pytest.mark.parametrize(
    "change",
    [
        lambda content: content[:-1],
        lambda content: content + b"\0",
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    ],
    ids=["truncated", "longer", "one bit"],
)
def test_a_changed_file_is_refused(store: PackedStore, artefact: Path, name: str, change: Callable[[bytes], bytes]):
    packed, _ = pack(store, artefact)
    (packed / name).write_bytes(change((packed / name).read_bytes()))
    with refused(IntegrityError, name):
        opened(packed, key(artefact))


def test_a_record_that_this_box_did_not_sign_is_refused_and_packed_again(store: PackedStore, artefact: Path):
    packed, _ = pack(store, artefact)
    record = json.loads((packed / RECORD).read_bytes())
    record["files"][0]["sha256"] = "0" * 64
    (packed / RECORD).write_text(json.dumps(record))
    with refused(IntegrityError, "not written by this box"):
        opened(packed, key(artefact))
    again, told = pack(store, artefact)
    assert told
    assert opened(again, key(artefact))
    assert store.builds() == (again,)


def test_a_packed_graph_of_another_box_is_refused(store: PackedStore, artefact: Path, tmp_path: Path):
    packed, _ = pack(store, artefact)
    other = PackedStore(tmp_path / "other")
    shutil.copytree(store.folder, other.folder, ignore=shutil.ignore_patterns("key"))
    with refused(IntegrityError, "no plan was built"):
        opened(other.folder / packed.relative_to(store.folder), key(artefact))


def test_a_missing_record_is_refused(store: PackedStore, artefact: Path):
    packed, _ = pack(store, artefact)
    (packed / RECORD).unlink()
    with refused(IntegrityError, "missing"):
        opened(packed, key(artefact))


def test_a_damaged_artefact_is_not_packed(store: PackedStore, artefact: Path):
    content = (artefact / GRAPH_DATA).read_bytes()
    (artefact / GRAPH_DATA).write_bytes(bytes([content[0] ^ 1]) + content[1:])
    with refused(IntegrityError, GRAPH_DATA):
        pack(store, artefact)
    assert store.builds() == ()


def test_a_full_disk_is_told_before_anything_is_written(
    store: PackedStore, artefact: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(_needs: object) -> None:
        raise NoSpaceError("not enough space")

    monkeypatch.setattr(build, "check_space", full)
    with pytest.raises(NoSpaceError):
        pack(store, artefact)
    assert store.builds() == ()


def test_packing_that_is_interrupted_leaves_nothing(
    store: PackedStore, artefact: Path, monkeypatch: pytest.MonkeyPatch
):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(build, "rewrite", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pack(store, artefact)
    assert not (store.folder / "staging").exists()
    pack(store, artefact)


def test_a_large_file_is_continued_in_another(tmp_path: Path, artefact: Path):
    model = onnx.load_model(artefact / GRAPH, load_external_data=False)
    tensors = GraphTensors(model.graph, artefact)
    names = [name for name in tensors if tensors[name].nbytes > 1024]
    with TensorFile(tmp_path / "data", large_bytes=10_000) as file:
        for name in names:
            file.append(name, tensors[name])
    assert len(file.paths) > 2
    assert all(path.stat().st_size < 10_000 + 2 * max(tensors[name].nbytes for name in names) for path in file.paths)
    graph = onnx.helper.make_graph([], "tensors", [], [], list(file.initialisers.values()))
    written = GraphTensors(graph, tmp_path)
    assert all(np.array_equal(written[name], tensors[name]) for name in names)


def test_weights_of_6_and_5_bits_and_short_scales_take_no_more_bytes(store: PackedStore, tmp_path: Path):
    short = Weights(bits=6, block=32, short_scales=True)
    preset = Preset("balanced", "", 1.0, body=short, head=Weights(bits=5, block=32), embedding=TABLE)
    folder = make_small_artefact(tmp_path / "short", tmp_path / "checkpoint", preset)
    packed, _ = pack(store, folder)
    graph = onnx.load_model(packed / GRAPH, load_external_data=False).graph
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    found = {(attributes(node)["bits"], types[node.input[2]]) for node in graph.node if node.op_type == "MatMulPacked"}
    assert found == {(6, onnx.TensorProto.FLOAT16), (5, onnx.TensorProto.FLOAT)}
