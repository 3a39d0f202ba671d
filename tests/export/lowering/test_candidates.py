"""The outputs that choosing a token needs, exact against numpy: alone, and at the end of a whole graph."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import pytest

from appliance.artefact.manifest import GRAPH, ORT_CUDA
from appliance.onnx_runtime import ort
from export.lowering.candidates import CANDIDATES, add_candidates
from export.lowering.data_file import DataFile
from export.lowering.nodes import Nodes
from export.presets import PRESETS
from tests.checkpoints import KV_HEADS, VOCABULARY, head_dim
from tests.export.lowering.graphs import TOKENS, build

Floats = npt.NDArray[np.float32]
NAMES = ["candidate_logits", "candidate_ids", "log_normaliser"]


def candidates(folder: Path, logits: Floats, tokens: int) -> list[npt.NDArray[np.generic]]:
    """The three outputs for given logits."""
    vocabulary = logits.shape[1]
    with DataFile(folder / "data") as data:
        nodes = Nodes(data)
        add_candidates(nodes, nodes.input("logits", ir.DataType.FLOAT, ["wanted", vocabulary]), vocabulary, tokens)
    model = ir.Model(nodes.graph("candidates", {"": 21}), ir_version=10)
    ir.save(model, folder / GRAPH)
    session = ort.InferenceSession(folder / GRAPH, providers=["CPUExecutionProvider"])
    found: list[npt.NDArray[np.generic]] = session.run(NAMES, {"logits": logits})
    return found


def assert_right(logits: Floats, tokens: int, found: list[npt.NDArray[np.generic]]) -> None:
    known = logits[:, :tokens]
    ids = np.argsort(-known, axis=-1, kind="stable")[:, :CANDIDATES]
    greatest, found_ids, normaliser = found
    assert np.array_equal(found_ids, ids)
    assert np.array_equal(greatest, np.take_along_axis(known, ids, -1))
    peak = known.max(-1, keepdims=True)
    exact = np.log(np.exp(known.astype(np.float64) - peak).sum(-1)) + peak[:, 0]
    assert normaliser == pytest.approx(exact, rel=1e-6, abs=1e-5)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0, 1e4])
@pytest.mark.parametrize(("vocabulary", "tokens"), [(5000, 5000), (5000, 4321), (100, 40), (64, 64)])
def test_they_are_what_numpy_says(tmp_path: Path, scale: float, vocabulary: int, tokens: int) -> None:
    """Of the tokenizer's tokens alone, however large the logits beyond them are, and without overflow."""
    generator = np.random.default_rng(vocabulary + tokens)
    logits = (scale * generator.standard_normal((7, vocabulary))).astype(np.float32)
    logits[:, tokens:] = 1e6
    assert_right(logits, tokens, candidates(tmp_path, logits, tokens))


def test_of_equal_logits_the_lesser_token_comes_first(tmp_path: Path) -> None:
    logits = np.zeros((2, 1000), np.float32)
    logits[1, 500:] = 1
    assert_right(logits, 900, candidates(tmp_path, logits, 900))


@pytest.mark.parametrize("preset", [name for name, preset in PRESETS.items() if preset.runtime == ORT_CUDA])
@pytest.mark.parametrize("model_type", ["qwen2", "qwen3"])
def test_a_whole_graph_gives_those_of_its_own_logits(tmp_path: Path, preset: str, model_type: str) -> None:
    graph = build(tmp_path, replace(PRESETS[preset].twin, runtime=ORT_CUDA), model_type)
    session = ort.InferenceSession(graph / GRAPH, providers=["CPUExecutionProvider"])
    ids = np.array([[5, 80, 200, 17, 42]], np.int64)
    cache = np.zeros((1, KV_HEADS, 5, head_dim(model_type)), np.float32)
    given = {
        "input_ids": ids,
        "seqlens_k": np.array([4], np.int32),
        "total_sequence_length": np.array(5, np.int32),
        "logits_rows": np.array([0, 4], np.int64),
        **{f"past_key_values.{layer}.{part}": cache for layer in range(2) for part in ("key", "value")},
    }
    logits, *found = session.run(["logits", *NAMES], given)
    assert logits.shape == (2, VOCABULARY)
    assert_right(logits, TOKENS, found)
