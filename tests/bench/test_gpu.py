"""The bench for GPUs, as far as it goes without one: its smoke run on the CPU, and its tables."""

import math
import os
import subprocess
import sys

import pytest

from appliance.tensorrt.open_plan import read_record
from appliance.tensorrt.plan_key import Profile
from bench.gpu.plan import build_plan
from bench.gpu.random_checkpoint import RandomCheckpoint
from bench.gpu.rates import Rates
from bench.gpu.results import Measured, page
from bench.gpu.run import manifest_of, quick_run
from bench.gpu.shapes import SHAPES
from export.architecture import describe
from export.pipeline import LOWERINGS
from export.presets import PRESETS
from tests.tensorrt.conftest import L4


def test_the_smoke_run_measures_every_column():
    said: list[str] = []
    text = quick_run(said.append)
    row = next(line for line in text.splitlines() if line.startswith("| tiny, float32"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[3] == cells[6] == "absent"
    assert all(cells)
    assert "**" not in text
    assert any("decoding 2" in line for line in said)


# As their makers publish them, in billions.
@pytest.mark.parametrize(
    ("name", "billions"), [("Qwen2.5-0.5B", 0.49), ("Qwen3-0.6B", 0.60), ("Qwen3-1.7B", 1.72), ("Qwen3-4B", 4.02)]
)
def test_the_shapes_have_as_many_parameters_as_the_published_models(name, billions):
    checkpoint = RandomCheckpoint(SHAPES[name])
    parameters = sum(math.prod(checkpoint.shape(tensor)) for tensor in checkpoint.names())
    assert parameters / 1e9 == pytest.approx(billions, abs=0.005)


def test_a_share_of_the_roof_is_what_was_read_over_what_could_have_been():
    rates = Rates(bytes_per_s=1e12, flops=1e14)
    measured = Measured("x", "bf16", {1: 0.002}, {1: 1_000_000_000}, 0.1, 5e12, {1: 250.0})
    text = page({"GPU": "one"}, rates, {"context": 8, "prompt": 4096, "steps": 3}, [measured])
    cells = [cell.strip() for cell in text.splitlines()[-1].strip("|").split("|")]
    assert cells == ["x, bf16", "500", "50%", "250", "40,960", "50%"]


def test_what_failed_is_told_below_the_table():
    measured = Measured("x", "bf16", {}, {}, None, 0.0, {}, why_not="no room")
    text = page({}, Rates(1.0, 1.0), {"context": 8, "prompt": 16, "steps": 3}, [measured])
    assert "- x, bf16: **no room**" in text


def test_the_tests_that_need_a_gpu_are_collected_where_they_are_required_and_fail_without_one():
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/on_gpu", "-x"]
    ended = subprocess.run(
        command, env={**os.environ, "APPLIANCE_TEST_GPU": "required"}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1, ended.stdout
    assert "these tests need a GPU: " in ended.stdout
    left_out = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "left out; make gpu-test runs them" in left_out.stdout


def test_a_plan_is_built_for_a_graph_with_random_weights(tmp_path):
    (tmp_path / "graph").mkdir()
    config = {**SHAPES["Qwen3-0.6B"], "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2}
    checkpoint, preset = RandomCheckpoint(config), PRESETS["tensorrt-bf16"]
    build = LOWERINGS[preset.runtime]
    build(checkpoint, describe(config), preset, 1000, tmp_path / "graph", lambda _done, _total: None)
    manifest = manifest_of("tiny", describe(config), preset, 1000)
    profile = Profile(slots=2, context_tokens=64, chunk_tokens=16)
    plan = build_plan(tmp_path / "graph", tmp_path / "engines", manifest, L4, profile, print)
    assert read_record(plan).key.profile == profile
