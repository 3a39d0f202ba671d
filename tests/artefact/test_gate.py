"""The gate lets a plain graph through and refuses every known way of making one read files or run strangers."""

import hashlib
import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from appliance.artefact.folder import read_manifest
from appliance.artefact.gate import check_graph
from appliance.artefact.manifest import FileEntry, Generation, Manifest, ModelShape, TextGeneration
from appliance.errors import IntegrityError, UnknownModelError, UnsafeFormatError, UnsupportedError
from tests.refusals import refused

WEIGHTS = np.arange(16, dtype=np.float32)


def external(location="model.onnx.data", *, name="w", offset="0", length="64", **extra):
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[16], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, "offset": offset, "length": length, **extra}.items():
        if value is not None:
            tensor.external_data.add(key=key, value=value)
    return tensor


def value(name):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [16])


def plain_graph(*, nodes=None, initializers=None):
    nodes = nodes or [helper.make_node("Add", ["x", "w"], ["y"])]
    return helper.make_graph(nodes, "g", [value("x")], [value("y")], initializers or [external()])


def plain_model(**parts):
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(plain_graph(**parts), opset_imports=opsets)


def entry(path: Path):
    data = path.read_bytes()
    return FileEntry(path.name, len(data), hashlib.sha256(data).hexdigest())


def write(folder: Path, model) -> Manifest:
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    (folder / "model.onnx.data").write_bytes(WEIGHTS.tobytes())
    return list_files(folder)


def list_files(folder: Path) -> Manifest:
    return Manifest(
        model="tiny",
        target="cpu",
        preset="default",
        architecture="qwen2",
        task=TextGeneration(
            ModelShape(layers=1, kv_heads=1, head_dim=8, vocabulary=16, tokens=16, context_tokens=32),
            Generation(eos_token_ids=(0,)),
        ),
        files=tuple(entry(path) for path in sorted(folder.iterdir())),
        inputs={},
    )


def test_a_plain_graph_with_listed_external_data_passes(tmp_path):
    check_graph(tmp_path, write(tmp_path, plain_model()))


@pytest.mark.parametrize("operator", ["FastGelu", "Attention", "SkipLayerNormalization"])
def test_a_known_contributed_operator_passes(tmp_path, operator):
    node = helper.make_node(operator, ["x", "w"], ["y"], domain="com.microsoft")
    check_graph(tmp_path, write(tmp_path, plain_model(nodes=[node])))


@pytest.mark.parametrize("name", ["model.onnx", "model.onnx.data"])
def test_a_flipped_byte_is_refused_by_name(tmp_path, name):
    manifest = write(tmp_path, plain_model())
    data = bytearray((tmp_path / name).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / name).write_bytes(data)
    with refused(IntegrityError, name, "digest"):
        check_graph(tmp_path, manifest)


def test_a_truncated_file_is_refused(tmp_path):
    manifest = write(tmp_path, plain_model())
    (tmp_path / "model.onnx.data").write_bytes(WEIGHTS.tobytes()[:-4])
    with refused(IntegrityError, 60, 64):
        check_graph(tmp_path, manifest)


def test_a_missing_file_is_refused(tmp_path):
    manifest = write(tmp_path, plain_model())
    (tmp_path / "model.onnx.data").unlink()
    with refused(IntegrityError, "model.onnx.data", "missing"):
        check_graph(tmp_path, manifest)


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir])
def test_something_nobody_listed_is_refused(tmp_path, make):
    manifest = write(tmp_path, plain_model())
    make(tmp_path / "stranger")
    with refused(IntegrityError, "stranger", "manifest"):
        check_graph(tmp_path, manifest)


def test_a_symbolic_link_is_refused_even_to_the_right_bytes(tmp_path):
    folder = tmp_path / "artefact"
    folder.mkdir()
    manifest = write(folder, plain_model())
    (folder / "model.onnx.data").rename(tmp_path / "elsewhere")
    (folder / "model.onnx.data").symlink_to(tmp_path / "elsewhere")
    with refused(IntegrityError, "opened"):
        check_graph(folder, manifest)


def test_a_hard_link_is_refused(tmp_path):
    folder = tmp_path / "artefact"
    folder.mkdir()
    manifest = write(folder, plain_model())
    os.link(folder / "model.onnx.data", tmp_path / "elsewhere")
    with refused(IntegrityError, "hard link"):
        check_graph(folder, manifest)


def test_a_pipe_in_place_of_a_file_is_refused_without_waiting_for_it(tmp_path):
    manifest = write(tmp_path, plain_model())
    (tmp_path / "model.onnx.data").unlink()
    os.mkfifo(tmp_path / "model.onnx.data")
    with refused(IntegrityError, "regular"):
        check_graph(tmp_path, manifest)


@pytest.mark.parametrize(
    "location",
    ["../secret", "/etc/passwd", "sub/model.onnx.data", "./model.onnx.data", "", "*/_ORT_MEM_ADDR_/*", "manifest.json"],
)
def test_external_data_outside_the_listed_files_is_refused(tmp_path, location):
    manifest = write(tmp_path, plain_model(initializers=[external(location)]))
    with refused(UnsafeFormatError, "not list"):
        check_graph(tmp_path, manifest)


@pytest.mark.parametrize(
    ("offset", "length"), [("4", "64"), ("0", "65"), ("-4", "8"), ("0", "-1"), ("0", None), ("9" * 30, "1"), ("x", "1")]
)
def test_external_data_beyond_its_file_is_refused(tmp_path, offset, length):
    manifest = write(tmp_path, plain_model(initializers=[external(offset=offset, length=length)]))
    with refused(UnsafeFormatError, "beyond"):
        check_graph(tmp_path, manifest)


def test_an_unknown_or_repeated_key_of_external_data_is_refused(tmp_path):
    manifest = write(tmp_path, plain_model(initializers=[external(prepacked_0="x")]))
    with refused(UnsafeFormatError, "unknown"):
        check_graph(tmp_path, manifest)
    doubled = external()
    doubled.external_data.add(key="location", value="../secret")
    manifest = write(tmp_path, plain_model(initializers=[doubled]))
    with refused(UnsafeFormatError, "unknown"):
        check_graph(tmp_path, manifest)


def hidden_in_a_constant():
    return plain_model(
        nodes=[
            helper.make_node("Constant", [], ["c"], value=external("../secret")),
            helper.make_node("Add", ["x", "c"], ["y"]),
        ]
    )


def hidden_in_a_subgraph():
    inner = helper.make_graph([helper.make_node("Identity", ["s"], ["z"])], "inner", [], [value("z")])
    inner.initializer.append(external("../secret", name="s"))
    return plain_model(nodes=[helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)])


def hidden_in_a_sparse_tensor():
    model = plain_model()
    indices = numpy_helper.from_array(np.arange(16, dtype=np.int64), "i")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(external("../secret"), indices, [16]))
    return model


def hidden_in_training():
    model = plain_model()
    model.training_info.add().initialization.initializer.append(external("../secret"))
    return model


def marked_external_by_keys_alone():
    tensor = external("../secret")
    tensor.data_location = TensorProto.DEFAULT
    return plain_model(initializers=[tensor])


@pytest.mark.parametrize(
    "build",
    [
        hidden_in_a_constant,
        hidden_in_a_subgraph,
        hidden_in_a_sparse_tensor,
        hidden_in_training,
        marked_external_by_keys_alone,
    ],
)
def test_external_data_is_found_wherever_it_hides(tmp_path, build):
    manifest = write(tmp_path, build())
    with pytest.raises(UnsafeFormatError, match=r"\.\./secret"):
        check_graph(tmp_path, manifest)


@pytest.mark.parametrize(
    ("domain", "operator"), [("com.microsoft", "EPContext"), ("evil", "Add"), ("ai.onnx.ml", "Scaler")]
)
def test_an_operator_off_the_list_is_refused(tmp_path, domain, operator):
    node = helper.make_node(operator, ["x", "w"], ["y"], domain=domain)
    manifest = write(tmp_path, plain_model(nodes=[node]))
    with pytest.raises(UnsupportedError, match=f"{domain}::{operator}"):
        check_graph(tmp_path, manifest)


def test_an_unlisted_operator_inside_a_subgraph_is_refused(tmp_path):
    node = helper.make_node("EPContext", [], ["z"], domain="com.microsoft")
    inner = helper.make_graph([node], "inner", [], [value("z")])
    outer = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    manifest = write(tmp_path, plain_model(nodes=[outer]))
    with pytest.raises(UnsupportedError, match="EPContext"):
        check_graph(tmp_path, manifest)


def test_functions_of_the_graph_s_own_are_refused(tmp_path):
    model = plain_model()
    body = [helper.make_node("Identity", ["a"], ["b"])]
    model.functions.append(helper.make_function("", "Add", ["a"], ["b"], body, [helper.make_opsetid("", 21)]))
    with refused(UnsupportedError, "functions"):
        check_graph(tmp_path, write(tmp_path, model))


def test_a_file_that_is_no_graph_is_refused(tmp_path):
    manifest = write(tmp_path, plain_model())
    (tmp_path / "model.onnx").write_bytes(b"\xff" * 100)
    manifest = list_files(tmp_path)
    with refused(IntegrityError, "ONNX"):
        check_graph(tmp_path, manifest)


def test_a_manifest_without_a_graph_is_refused(tmp_path):
    write(tmp_path, plain_model())
    (tmp_path / "model.onnx").unlink()
    with refused(IntegrityError, "model.onnx"):
        check_graph(tmp_path, list_files(tmp_path))


def test_the_manifest_is_read_back_and_its_absence_is_named(tmp_path):
    with refused(UnknownModelError, "manifest.json"):
        read_manifest(tmp_path)
    manifest = write(tmp_path, plain_model())
    (tmp_path / "manifest.json").write_bytes(manifest.to_bytes())
    assert read_manifest(tmp_path) == manifest
    check_graph(tmp_path, manifest)


def test_the_tests_graph_runs(tmp_path):
    write(tmp_path, plain_model())
    onnx.checker.check_model(str(tmp_path / "model.onnx"))
