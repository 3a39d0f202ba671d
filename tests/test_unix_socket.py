from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from appliance import unix_socket


@pytest.mark.parametrize("depth", [0, 30])
def test_both_ends_meet_at_a_path_of_any_length(tmp_path: Path, depth: int):
    folder = tmp_path.joinpath(*["nested"] * depth)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "gateway.sock"
    with unix_socket.listen(path) as listener, unix_socket.connect(path) as near:
        far, _ = listener.accept()
        with far:
            assert unix_socket.peer_uid(far) == os.geteuid()
            near.send(b"x")
            assert far.recv(1) == b"x"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_a_dead_process_left_is_replaced(tmp_path: Path):
    path = tmp_path / "gateway.sock"
    unix_socket.listen(path).close()
    with pytest.raises(ConnectionRefusedError):
        unix_socket.connect(path)
    with unix_socket.listen(path), unix_socket.connect(path):
        pass


def test_nobody_there_is_an_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        unix_socket.connect(tmp_path / "gateway.sock")
