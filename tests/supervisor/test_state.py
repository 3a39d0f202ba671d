import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from appliance.supervisor import state
from appliance.supervisor.state import Phase, UpState
from tests.supervisor.states import MODEL, OTHER_MODEL, STATE


def _of_another(**changes: Any) -> UpState:
    return dataclasses.replace(STATE, supervisor=dataclasses.replace(STATE.supervisor, **changes))


def test_a_state_survives_its_file(tmp_path: Path):
    written = dataclasses.replace(STATE, phase=Phase.RESTARTING, triton_pid=7, triton_restarts=2)
    state.write(tmp_path, written)
    assert state.read(tmp_path) == written


def test_a_state_of_several_models_survives_its_file(tmp_path: Path):
    written = dataclasses.replace(STATE, models=(MODEL, OTHER_MODEL))
    state.write(tmp_path, written)
    found = state.read(tmp_path)
    assert found == written
    assert found.names == ("tiny", "small")
    assert found.default_model == MODEL


def test_one_model_s_figures_stand_beside_the_box_s_and_those_of_several_do_not():
    flat = {"target": "cpu", "preset": "balanced", "artefact": MODEL.artefact, "artefact_sha256": MODEL.artefact_sha256}
    written = json.loads(STATE.to_bytes())
    assert {key: written[key] for key in ("model", *flat)} == {"model": "tiny", **flat}
    assert written["models"] == [{"name": "tiny", **flat, "operators": "", "task": "text-generation"}]
    of_two = json.loads(dataclasses.replace(STATE, models=(MODEL, OTHER_MODEL)).to_bytes())
    assert not {"model", *flat} & of_two.keys()


def test_the_file_of_a_box_of_the_version_before_is_read():
    written = json.loads(STATE.to_bytes())
    del written["models"]
    assert UpState.from_bytes(json.dumps({**written, "schema": 2}).encode()) == STATE


def test_a_removed_state_is_none(tmp_path: Path):
    state.write(tmp_path, STATE)
    state.remove(tmp_path)
    assert state.read(tmp_path) is None


@pytest.mark.parametrize(
    "stale",
    [
        pytest.param({"pid": 1 << 22}, id="no such process"),
        pytest.param({"start_ticks": 1}, id="the id belongs to a later process"),
        pytest.param({"boot": "another"}, id="another boot, with the same id at the same tick"),
        pytest.param({"namespace": 1}, id="another container, with the same id at the same tick"),
    ],
)
def test_the_file_of_a_dead_process_is_recognised(tmp_path: Path, stale: dict[str, Any]):
    state.write(tmp_path, _of_another(**stale))
    assert state.read(tmp_path) is None


def test_a_copied_root_does_not_hold_the_running_box(tmp_path: Path):
    state.write(tmp_path / "a" / "run", STATE)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert state.read(tmp_path / "b" / "run") is None
    assert state.read(tmp_path / "a" / "run") == STATE


def test_a_moved_root_still_holds_it(tmp_path: Path):
    state.write(tmp_path / "a" / "run", STATE)
    (tmp_path / "a").rename(tmp_path / "b")
    assert state.read(tmp_path / "b" / "run") == STATE


def test_a_step_of_the_clock_changes_nothing(tmp_path: Path):
    """The kernel's wall clock is moved for one program alone, in a time that it believes: psutil's boot time follows.

    Nothing that is compared comes from that clock.
    """
    state.write(tmp_path, STATE)
    program = (
        "import sys, time, pathlib; from appliance.supervisor import state\n"
        "time.time = lambda: 4e9\n"
        "import psutil; psutil.boot_time = lambda: 3e9; psutil._pslinux.boot_time = lambda: 3e9\n"
        "found = state.read(pathlib.Path(sys.argv[1]))\n"
        "sys.exit(0 if found and found.supervisor.age_s < 1e8 else 1)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, tmp_path], check=False).returncode == 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"schema": 4}',
        b'{"schema": 2, "pid": 3}',
        b"\xff",
        STATE.to_bytes()[:-20],
        dataclasses.replace(STATE, models=()).to_bytes(),
        STATE.to_bytes().replace(b'"models": [', b'"models": [3, '),
    ],
)
def test_a_damaged_file_counts_as_none(tmp_path: Path, content: bytes):
    (tmp_path / state.STATE_NAME).write_bytes(content)
    assert state.read(tmp_path) is None


def test_an_unknown_field_is_refused_and_not_dropped():
    value = json.loads(STATE.to_bytes())
    with pytest.raises(ValueError, match="not the state"):
        UpState.from_bytes(json.dumps({**value, "surprise": 1}).encode())


def test_the_default_model_generates_text():
    embedder = dataclasses.replace(MODEL, name="e", task="embedding")
    assert dataclasses.replace(STATE, models=(embedder, MODEL)).default_model is MODEL
    assert dataclasses.replace(STATE, models=(embedder,)).default_model is embedder
