"""The laws of every runner, and what a GPU adds: its numbers against the CPU's, and its own choice of tokens."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from appliance.artefact.folder import read_manifest
from appliance.engine.engine import Engine
from appliance.engine.memory import HostMemory
from appliance.engine.ort_runner import OrtRunner
from appliance.engine.ort_session import CPU, open_session
from appliance.inference.config import EngineConfig
from appliance.inference.sampling import SamplingParams
from export.architecture import describe
from export.checkpoint import open_checkpoint
from export.lowering import ort
from export.presets import PRESETS, REFERENCE
from export.quality.measure import kl_divergence, log_probabilities
from tests.engine.steps import collect, prefill, prompt

# Collected here too, with this folder's runner.
from tests.engine.test_ort_runner import (  # noqa: F401
    test_a_batch_does_not_touch_the_slots_behind_it,
    test_a_copied_prefix_gives_the_very_logits_of_a_fresh_prompt,
    test_a_prompt_in_chunks_gives_the_very_logits_of_the_whole,
    test_a_row_gives_the_very_logits_it_gives_alone_in_any_batch,
    test_a_slot_can_be_filled_to_its_last_row_and_not_beyond,
    test_a_token_beyond_the_table_never_reaches_the_kernel_which_would_read_it,
    test_moved_rows_go_on_as_if_they_had_not_moved,
)
from tests.engine.tiny_graphs import CAPACITY


def test_its_logits_are_those_of_the_checkpoint_in_floats(runner, artefact: Path, tmp_path: Path):
    manifest = read_manifest(artefact)
    files = {path.name: path for path in (artefact.parents[4] / "checkpoint").iterdir()}
    checkpoint = open_checkpoint(files)
    architecture = describe(checkpoint.config)
    ort.build(checkpoint, architecture, REFERENCE, manifest.shape.tokens, tmp_path, lambda _done, _total: None)
    shape = dataclasses.replace(manifest.shape, cache_dtype="float32")
    floats = OrtRunner(open_session(tmp_path / "model.onnx", [CPU], 1), HostMemory(), shape, slots=1, capacity=CAPACITY)
    divergences = []
    for seed in range(16):
        tokens = prompt(40 + seed, seed)
        expected, found = (prefill(each, 0, tokens)[:, : manifest.shape.tokens] for each in (floats, runner))
        divergences.append(float(kl_divergence(log_probabilities(expected), log_probabilities(found))[0]))
    assert np.mean(divergences) <= PRESETS[manifest.preset].max_mean_kl


def test_the_candidates_are_the_greatest_of_the_whole_row(runner, artefact: Path):
    tokens = read_manifest(artefact).shape.tokens
    logits = runner.prefill(0, 0, prompt(50))
    candidates = logits.candidates([0])
    row = logits.rows([0])[0, :tokens]
    assert candidates is not None
    count = candidates.ids.shape[1]
    assert np.array_equal(candidates.logits[0], np.sort(row)[::-1][:count])
    assert np.array_equal(row[candidates.ids[0]], candidates.logits[0])
    exact = np.logaddexp.reduce(row.astype(np.float64))
    assert candidates.log_normaliser[0] == pytest.approx(exact, abs=1e-3)


def test_an_answer_depends_on_nothing_but_its_prompt(artefact: Path, config: EngineConfig):
    sampling = SamplingParams(temperature=0.0, max_tokens=24, ignore_eos=True)
    trunk = prompt(80, seed=4)
    prompts = [[*trunk[: 20 + 10 * i], *prompt(3 + i, seed=i)] for i in range(6)]
    engine = Engine.load(artefact, config)
    alone = [collect(engine, [tokens], sampling, f"{index}.")[0][0] for index, tokens in enumerate(prompts)]
    together, _ = collect(engine, prompts, sampling, "b")
    engine.close()
    assert together == alone
