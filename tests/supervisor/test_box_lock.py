import dataclasses
from pathlib import Path

import pytest

from appliance.errors import UsageError
from appliance.supervisor import box_lock, state
from tests.supervisor.states import STATE


def test_a_second_box_on_the_same_root_is_refused_by_name(tmp_path: Path):
    with box_lock.hold(tmp_path) as is_stale:
        assert not is_stale
        state.write(tmp_path, STATE)
        with pytest.raises(UsageError, match=f"already serving tiny .process {STATE.pid}"), box_lock.hold(tmp_path):
            pass
        assert state.read(tmp_path) == STATE


def test_leftovers_of_a_dead_box_are_cleared_and_told(tmp_path: Path):
    state.write(tmp_path, dataclasses.replace(STATE, supervisor=dataclasses.replace(STATE.supervisor, pid=1 << 22)))
    with box_lock.hold(tmp_path) as is_stale:
        assert is_stale
        assert not (tmp_path / state.STATE_NAME).exists()
    with box_lock.hold(tmp_path) as is_stale:
        assert not is_stale
