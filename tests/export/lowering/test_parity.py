"""Both lowerings of a model say the same, step by step, in 32-bit floats on ONNX Runtime's CPU."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from appliance.artefact.manifest import TENSORRT
from export.lowering import twin
from export.presets import PRESETS, REFERENCE, Preset, Weights
from tests.checkpoints import VOCABULARY
from tests.export.lowering.graphs import TOKENS, build
from tests.export.lowering.steps import Floats, Steps

PLAIN = replace(REFERENCE, runtime=TENSORRT)
SLOTS, CAPACITY = 4, 48
EVERY = slice(0, SLOTS)
PROMPT = [int(token) for token in np.random.default_rng(5).integers(0, TOKENS, 33)]

models = pytest.mark.parametrize(
    "model_type", ["qwen2", "qwen3", "llama", "granite", "granitemoehybrid", "gemma3_text"]
)
ties = pytest.mark.parametrize("tie", [False, True], ids=["untied", "tied"])


def both(folder: Path, model_type: str, *, tie: bool = False, **config: Any) -> tuple[Steps, Steps]:
    """The graph for ONNX Runtime and the one for TensorRT, of the same checkpoint."""
    ours, theirs = (
        Steps(build(folder / preset.runtime, preset, model_type, tie=tie, **config), model_type, SLOTS, CAPACITY)
        for preset in (REFERENCE, PLAIN)
    )
    return ours, theirs


def assert_close(found: Floats, expected: Floats) -> None:
    """Sums in another order: some units in the last place of the largest."""
    assert np.abs(found - expected).max() < 3e-6 * np.abs(expected).max()


@models
@ties
def test_a_prompt_read_at_once(tmp_path: Path, model_type: str, tie: bool) -> None:
    ours, theirs = both(tmp_path, model_type, tie=tie)
    expected, found = (steps.run([PROMPT], [0], slice(0, 1)) for steps in (ours, theirs))
    assert found.shape == (len(PROMPT), VOCABULARY)
    assert_close(found, expected)
    for name, cache in ours.cache.items():
        assert_close(theirs.cache[name][:1, :, : len(PROMPT)], cache[:1, :, : len(PROMPT)])


@models
def test_a_scaled_rotation(tmp_path: Path, model_type: str) -> None:
    yarn = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}
    ours, theirs = both(tmp_path, model_type, rope_scaling=yarn)
    plain, _ = both(tmp_path / "plain", model_type)
    expected, found, unscaled = (steps.run([PROMPT], [0], slice(0, 1)) for steps in (ours, theirs, plain))
    assert_close(found, expected)
    assert np.abs(expected - unscaled).max() > 0.1


@models
@ties
def test_a_prompt_read_in_chunks(tmp_path: Path, model_type: str, tie: bool) -> None:
    ours, theirs = both(tmp_path, model_type, tie=tie)
    expected = ours.run([PROMPT], [0], slice(0, 1))
    for begin, end in pairwise([0, 7, 8, 24, len(PROMPT)]):
        assert_close(theirs.run([PROMPT[begin:end]], [begin], slice(0, 1)), expected[begin:end])


@models
def test_slots_of_different_lengths_decode_together(tmp_path: Path, model_type: str) -> None:
    """Prefill on one slot's view, then steps on the first slots alone; the last slot is not touched."""
    lengths = [5, 33, 1]
    ours, theirs = both(tmp_path, model_type)
    for steps in (ours, theirs):
        for slot, length in enumerate(lengths):
            steps.run([PROMPT[:length]], [0], slice(slot, slot + 1))
    for step in range(6):
        held = [length + step for length in lengths]
        ids = [[(31 * step + 7 * slot) % TOKENS] for slot in range(len(lengths))]
        expected, found = (steps.run(ids, held, slice(0, len(lengths))) for steps in (ours, theirs))
        assert_close(found, expected)
    for cache in theirs.cache.values():
        assert (cache[len(lengths) :] == 9).all()


@models
def test_only_wanted_rows_have_logits(tmp_path: Path, model_type: str) -> None:
    _, theirs = both(tmp_path, model_type)
    whole = theirs.run([PROMPT], [0], slice(0, 1))
    some = theirs.run([PROMPT], [0], slice(0, 1), rows=[32, 4])
    assert_close(some, whole[[32, 4]])


@models
@ties
def test_greedy_continuations_are_equal(tmp_path: Path, model_type: str, tie: bool) -> None:
    ours, theirs = both(tmp_path, model_type, tie=tie)
    assert theirs.greedy(PROMPT, 12) == ours.greedy(PROMPT, 12)


@models
def test_the_last_row_of_the_cache_can_be_written(tmp_path: Path, model_type: str) -> None:
    ours, theirs = both(tmp_path, model_type)
    ids = [PROMPT[:CAPACITY] for _ in range(SLOTS)]
    for steps in (ours, theirs):
        steps.run(ids, [0] * SLOTS, EVERY)
    held = [CAPACITY - 1] * SLOTS
    expected, found = (steps.run([[3]] * SLOTS, held, EVERY) for steps in (ours, theirs))
    assert np.isfinite(expected).all()
    assert np.isfinite(found).all()


@models
def test_a_cache_in_place_and_one_that_is_copied_say_the_same(tmp_path: Path, model_type: str) -> None:
    """ONNX Runtime writes the rows where the cache lies, if it is bound to both: no second buffer is needed."""
    graph = build(tmp_path, PLAIN, model_type)
    aliased, copied = (Steps(graph, model_type, SLOTS, CAPACITY, in_place=value) for value in (True, False))
    for begin, end in pairwise([0, 20, len(PROMPT)]):
        first, second = (steps.run([PROMPT[begin:end]], [begin], slice(1, 2)) for steps in (aliased, copied))
        assert np.array_equal(first, second)
    for name, cache in aliased.cache.items():
        assert np.array_equal(cache, copied.cache[name])


def test_padding_beyond_the_context_harms_no_token_before_it(tmp_path: Path) -> None:
    """A launch of a fixed size may end behind the last position that the rotary tables have."""
    graph = build(tmp_path, PLAIN, max_position_embeddings=len(PROMPT))
    exact, padded = (Steps(graph, "qwen2", 1, CAPACITY) for _ in range(2))
    begin = 20
    for steps in (exact, padded):
        steps.run([PROMPT[:begin]], [0], slice(0, 1))
    rest = PROMPT[begin:]
    expected = exact.run([rest], [begin], slice(0, 1))
    found = padded.run([[*rest, *[0] * (CAPACITY - len(PROMPT))]], [begin], slice(0, 1))
    assert_close(found[: len(rest)], expected)
    assert np.isfinite(found).all()


# Blocks of 32, as the tiny checkpoints' matrices are no whole number of the preset's wide.
QUANTISED = [PRESETS["tensorrt-int8"], replace(PRESETS["tensorrt-int4"], body=Weights(bits=4, block=32))]


@models
@ties
@pytest.mark.parametrize("preset", QUANTISED, ids=lambda preset: preset.name)
def test_quantised_weights_are_those_of_the_twin(tmp_path: Path, model_type: str, tie: bool, preset: Preset) -> None:
    """In 32-bit floats throughout: the twin's graph has what the other's DequantizeLinear gives."""
    exact = replace(preset, activations="float32")
    theirs = Steps(build(tmp_path / "own", exact, model_type, tie=tie), model_type, SLOTS, CAPACITY)
    stand_in = Steps(build(tmp_path / "twin", exact, model_type, tie=tie, how=twin.build), model_type, SLOTS, CAPACITY)
    expected, found = (steps.run([PROMPT], [0], slice(0, 1)) for steps in (stand_in, theirs))
    assert_close(found, expected)
