import dataclasses
import json
from pathlib import Path

import pytest

from appliance.errors import UsageError
from appliance.supervisor import state
from appliance.supervisor.state import Phase, UpState
from tests.supervisor.states import STATE


def test_a_state_survives_its_file(tmp_path: Path):
    written = dataclasses.replace(STATE, phase=Phase.RESTARTING, triton_pid=7, triton_restarts=2)
    state.write(tmp_path, written)
    assert state.read(tmp_path) == written


def test_a_removed_state_is_none(tmp_path: Path):
    state.write(tmp_path, STATE)
    state.remove(tmp_path)
    assert state.read(tmp_path) is None


@pytest.mark.parametrize(
    "stale",
    [
        pytest.param({"pid": 1 << 22}, id="no such process"),
        pytest.param({"pid_started": STATE.pid_started - 100}, id="the id belongs to a later process"),
    ],
)
def test_the_file_of_a_dead_process_is_recognised(tmp_path: Path, stale: dict[str, float]):
    state.write(tmp_path, dataclasses.replace(STATE, **stale))
    assert state.read(tmp_path) is None


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"schema": 2}', b'{"schema": 1, "pid": 3}', b"\xff", STATE.to_bytes()[:-20]]
)
def test_a_damaged_file_counts_as_none(tmp_path: Path, content: bytes):
    (tmp_path / state.STATE_NAME).write_bytes(content)
    assert state.read(tmp_path) is None


def test_an_unknown_field_is_refused_and_not_dropped():
    value = json.loads(STATE.to_bytes())
    with pytest.raises(ValueError, match="not the state"):
        UpState.from_bytes(json.dumps({**value, "surprise": 1}).encode())


def test_a_second_box_on_the_same_root_is_refused_by_name(tmp_path: Path):
    with state.only_one(tmp_path) as is_stale:
        assert not is_stale
        state.write(tmp_path, STATE)
        with pytest.raises(UsageError, match=f"already serving tiny .process {STATE.pid}"), state.only_one(tmp_path):
            pass
        assert state.read(tmp_path) == STATE


def test_leftovers_of_a_dead_box_are_cleared_and_told(tmp_path: Path):
    state.write(tmp_path, dataclasses.replace(STATE, pid=1 << 22))
    with state.only_one(tmp_path) as is_stale:
        assert is_stale
        assert not (tmp_path / state.STATE_NAME).exists()
    with state.only_one(tmp_path) as is_stale:
        assert not is_stale
