"""The profile of a step adds up the events of ONNX Runtime, and keeps the fastest of several equal steps."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.environments import ROOT
from bench.step_profile import ALL, CHOICE, REST, Timed, parts
from tests.tiny_artefact import TINY, make_tiny_artefact


def node(name: str, operator: str, ts: int, dur: int) -> dict[str, object]:
    return {"cat": "Node", "name": f"{name}_kernel_time", "ts": ts, "dur": dur, "args": {"op_name": operator}}


EVENTS = [
    {"cat": "Session", "name": "session_initialization", "ts": 0, "dur": 50},
    {"cat": "Session", "name": "model_run", "ts": 60, "dur": 30},
    node("model.layers.0.mlp.down", "MatMulPacked", 70, 1),
    {"cat": "Session", "name": "model_run", "ts": 100, "dur": 5000},
    node("model.layers.0.mlp.down", "MatMulPacked", 200, 1000),
    node("model.layers.1.mlp.down", "MatMulPacked", 2000, 500),
    node("model.norm.weight.normal", "SkipSimplifiedLayerNormalization", 3000, 100),
    node("embedding", "GatherBlockQuantized", 3200, 100),
    node("lm_head", "RescoredHead", 3300, 250),
    {"cat": "Session", "name": "model_run", "ts": 6000, "dur": 4000},
    node("model.layers.0.mlp.down", "MatMulPacked", 6100, 700),
    node("model.layers.1.mlp.down", "MatMulPacked", 8000, 600),
    {"cat": "Session", "name": "model_run", "ts": 20000, "dur": 1000},
    node("model.layers.0.mlp.down", "MatMulPacked", 20100, 300),
]


def test_parts_are_the_least_times_of_each_node_by_kind_of_step():
    first, second = parts(EVENTS, [[Timed(5.5, 0.2), Timed(4.25, 0.3)], [Timed(1.5, 0.1)]])
    assert first == {
        ALL: pytest.approx(1.65),
        CHOICE: 0.2,
        REST: 0.25,
        "mlp.down": pytest.approx(1.2),
        "norms": 0.1,
        "other": 0.1,
        "RescoredHead": 0.25,
    }
    assert second == {ALL: 0.3, CHOICE: 0.1, REST: 0.5, "mlp.down": 0.3}


def test_the_command_prints_the_parts_of_each_kind_of_step(tmp_path: Path):
    make_tiny_artefact(tmp_path / "exports" / TINY / "cpu-balanced", tmp_path / "scratch")
    command = [sys.executable, "-m", "bench.step_profile", "--root", str(tmp_path), "--threads", "1", "--repeats", "2"]
    ran = subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    for name in ("decode 16", "prompt of 32", ALL, CHOICE, REST):
        assert name in ran.stdout
