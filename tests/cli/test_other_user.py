"""A running box beside another user of the same machine, who has no key: that one gets nothing but a refusal."""

from __future__ import annotations

import os
import re
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from appliance.triton import shared_memory
from tests.other_user import as_nobody, needs_root, refusal
from tests.processes import ask, family
from tests.running_box import RunningBox

pytestmark = pytest.mark.triton


@pytest.fixture(scope="module")
def box() -> Iterator[RunningBox]:
    # Not in pytest's own folder: that is closed to others already.
    root = Path(tempfile.mkdtemp(prefix="appliance-test-"))
    root.chmod(0o755)
    with RunningBox(root, ["--triton-http", "127.0.0.1:0"]) as running:
        yield running
    shutil.rmtree(root)


@pytest.fixture
def key(box: RunningBox) -> str:
    return box.call("key", "create", "somebody").stdout.strip()


def _connect(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def _sockets(box: RunningBox) -> list[Path]:
    return [path for path in (box.root / "run").rglob("*") if path.is_socket()]


def _memory(box: RunningBox) -> list[Path]:
    owner = shared_memory.owner(box.root / "run")
    return list(shared_memory.SHARED_MEMORY.glob(f"appliance-{owner}-*"))


def _open_as_nobody(paths: list[Path], flags: int) -> Any:
    attempts: list[Callable[[], int]] = [lambda path=path: os.open(path, flags) for path in paths]  # type: ignore[misc]
    return as_nobody(lambda: [refusal(attempt) for attempt in attempts])


def test_exactly_the_gateway_listens_on_tcp_and_exactly_where_it_says(box: RunningBox):
    found = {
        (process.pid, f"{one.laddr.ip}:{one.laddr.port}")
        for process in family(box.process.pid)
        for one in ask(lambda process=process: process.net_connections("inet"))
        if one.status == psutil.CONN_LISTEN
    }
    said = (box.state.http, box.state.grpc, box.state.metrics, box.state.triton_http)
    assert {(pid, address.replace("::ffff:", "")) for pid, address in found} == {
        (box.state.gateway_pid, address) for address in said
    }


@needs_root
def test_no_socket_of_the_box_can_be_reached(box: RunningBox):
    sockets = _sockets(box)
    assert {path.name for path in sockets} == {"gateway.sock", "grpc:8001", "metrics"}
    for path in sockets:
        _connect(path)
    attempts = [lambda path=path: _connect(path) for path in sockets]
    assert set(as_nobody(lambda: [refusal(attempt) for attempt in attempts])) == {"PermissionError"}
    assert as_nobody(lambda: refusal(lambda: os.listdir(box.root / "run" / "triton"))) == "PermissionError"  # noqa: PTH208


@needs_root
def test_prompts_in_shared_memory_cannot_be_opened(box: RunningBox):
    files = _memory(box)
    assert files
    for flags in (os.O_RDONLY, os.O_RDWR):
        assert set(_open_as_nobody(files, flags)) == {"PermissionError"}


@needs_root
@pytest.mark.usefixtures("key")
def test_logs_keys_and_environments_cannot_be_read(box: RunningBox):
    run = box.root / "run"
    files = [*run.glob("*.log"), box.root / "keys" / "keys.json"]
    files += [Path(f"/proc/{process.pid}/environ") for process in family(box.process.pid)]
    assert len(files) > 5
    assert set(_open_as_nobody(files, os.O_RDONLY)) == {"PermissionError"}


def test_no_command_line_holds_a_secret(box: RunningBox, key: str):
    words = [word for process in family(box.process.pid) for word in ask(process.cmdline)]
    assert any("tritonserver" in word for word in words)
    assert not [word for word in words if key.split("_")[2] in word]
    # What is drawn at random and long enough to be one.
    assert not [word for word in words if re.search(r"[0-9a-f]{32}", word)]
