"""Graphs of tiny quantised models, portable and packed, and runners on them."""

import onnx
import pytest

from appliance.artefact import ModelShape
from appliance.engine.memory import HostMemory
from appliance.engine.ort_runner import OrtRunner
from appliance.engine.ort_session import CPU, open_session
from appliance.errors import UnsupportedError
from appliance.ops.library import library
from appliance.packed.rewrite import rewrite
from appliance.packed.tensors import GraphTensors, TensorFile
from export.architecture import describe
from export.checkpoint import open_checkpoint
from export.lowering import ort
from export.presets import Preset, Rescoring, Weights
from tests.checkpoints import VOCABULARY, make_tiny_checkpoint

CAPACITY = 256
PORTABLE, PACKED = "portable", "packed"
TABLE = Weights(bits=8, block=32)
# Kernels for x86-64 compute a lone row as any other where blocks have 32 elements, and in another way than a pair
# where they have 128.
PRESETS = {
    f"blocks of {weights.block}": Preset("", "", 1.0, body=weights, head=weights, embedding=TABLE)
    for weights in (Weights(bits=8, block=32), Weights(bits=8, block=128))
} | {
    "rescored": Preset(
        "", "", 1.0, body=TABLE, head=Weights(bits=4, block=128), embedding=TABLE, rescoring=Rescoring(16, TABLE)
    ),
    "6 and 5 bits": Preset("", "", 1.0, body=Weights(6, 64, short_scales=True), head=Weights(5, 32), embedding=TABLE),
}
KINDS = [
    ("qwen2", "blocks of 32", PORTABLE),
    ("qwen2", "blocks of 128", PORTABLE),
    ("qwen3", "blocks of 128", PORTABLE),
    ("qwen2", "rescored", PORTABLE),
    ("qwen2", "blocks of 32", PACKED),
    ("qwen3", "blocks of 128", PACKED),
    ("qwen3", "rescored", PACKED),
    ("qwen2", "6 and 5 bits", PORTABLE),
    ("qwen3", "6 and 5 bits", PACKED),
    ("llama", "rescored", PACKED),
    ("granite", "6 and 5 bits", PACKED),
    ("gemma3_text", "rescored", PORTABLE),
    ("gemma3_text", "rescored", PACKED),
]


def make_graph(folder, architecture_name, preset, kind):
    """A tiny quantised model's graph and shape; packed, with heads that our attention supports."""
    head = 64 if kind == PACKED and architecture_name != "qwen2" else None
    source = make_tiny_checkpoint(folder / "checkpoint", architecture_name, head=head)
    checkpoint = open_checkpoint({path.name: path for path in source.iterdir()})
    architecture = describe(checkpoint.config)
    (folder / "graph").mkdir()
    ort.build(checkpoint, architecture, PRESETS[preset], VOCABULARY, folder / "graph", lambda _done, _total: None)
    attention = architecture.layers[0].attention
    shape = ModelShape(
        layers=len(architecture.layers),
        kv_heads=attention.kv_heads,
        head_dim=attention.head_dim,
        vocabulary=architecture.vocabulary,
        tokens=architecture.vocabulary,
        context_tokens=CAPACITY,
    )
    path = folder / "graph" / "model.onnx"
    return (packed(path) if kind == PACKED else path), shape


def packed(path):
    operators()
    target = path.parent.with_name(PACKED)
    target.mkdir()
    model = onnx.load_model(path, load_external_data=False)
    with TensorFile(target / "model.onnx.data") as file:
        content = rewrite(model, GraphTensors(model.graph, path.parent), file, VOCABULARY).SerializeToString()
    (target / "model.onnx").write_bytes(content)
    return target / "model.onnx"


def nodes_of(path):
    return onnx.load_model(path, load_external_data=False).graph.node


def has_our_attention(path):
    return any(node.op_type == "SlotAttention" for node in nodes_of(path))


def operators():
    try:
        return library().path
    except UnsupportedError as error:
        pytest.skip(error.message)


def open_runner(path, shape, slots, capacity, threads=1):
    session = open_session(path, [CPU], threads, operators() if path.parent.name == PACKED else None)
    return OrtRunner(session, HostMemory(), shape, slots=slots, capacity=capacity)
