"""Nothing that the box loads keeps notes for its maker: no telemetry in the home folder, whatever library brings it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running_box import RunningBox

# What would be sent is written first; a device's number is made with the first session.
_SESSION = """
from appliance.onnx_runtime import ort
from onnx import TensorProto, helper
values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", values[:1], values[1:])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
"""


def _written(home: Path) -> list[str]:
    return [str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder, in an environment that switches nothing off."""
    folder = tmp_path / "home"
    folder.mkdir()
    for name in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(folder))
    return folder


def test_a_session_of_onnx_runtime_leaves_no_notes(home: Path):
    subprocess.run([sys.executable, "-c", _SESSION], check=True, env=dict(os.environ))
    assert _written(home) == []


@pytest.mark.triton
def test_a_box_that_answers_writes_in_its_root_alone(home: Path, tmp_path: Path):
    with RunningBox(tmp_path / "box") as box, box.completion(max_tokens=5) as answer:
        assert json.load(answer)["usage"]["completion_tokens"] == 5
    assert _written(home) == []
