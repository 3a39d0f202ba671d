"""Where Triton listens: a folder for our user alone, and proof that it listens nowhere else."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from appliance.errors import IntegrityError, MissingProgramError
from appliance.triton import sockets
from tests.waiting import LIMIT_S, wait_until

# Listens where its arguments say, then says so and waits for its end: "unix PATH" or "tcp HOST".
_LISTENER = """
import socket, sys
held = []
for kind, place in zip(sys.argv[1::2], sys.argv[2::2]):
    one = socket.socket(socket.AF_UNIX if kind == "unix" else socket.AF_INET6 if ":" in place else socket.AF_INET)
    one.bind(place.replace("@", "\\0") if kind == "unix" else (place, 0))
    one.listen()
    held.append(one)
print("listening", flush=True)
sys.stdin.read()
"""


@contextmanager
def _listener(folder: Path, *places: str, in_a_child: bool = False) -> Iterator[int]:
    words = [sys.executable, "-c", _LISTENER, *places]
    if in_a_child:
        words = [sys.executable, "-c", "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))", *words]
    with subprocess.Popen(words, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout
        assert running.stdout.readline() == b"listening\n"
        yield running.pid
        running.communicate()


def test_the_folder_is_made_for_its_owner_alone_whatever_the_umask(tmp_path: Path):
    before = os.umask(0o277)
    try:
        sockets.prepare(tmp_path / "triton")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "triton").stat().st_mode) == 0o700


def test_sockets_of_a_dead_server_are_removed(tmp_path: Path):
    folder = tmp_path / "triton"
    sockets.prepare(folder)
    for name in (sockets.GRPC, sockets.METRICS):
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(folder / name))
    sockets.prepare(folder)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("mode", [0o755, 0o710, 0o701, 0o777, 0o720])
def test_a_folder_that_others_may_enter_is_refused(tmp_path: Path, mode: int):
    folder = tmp_path / "triton"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(IntegrityError, match="0700"):
        sockets.prepare(folder)


def test_a_link_or_a_file_in_its_place_is_refused(tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(elsewhere)
    (tmp_path / "file").write_text("")
    (tmp_path / "file").chmod(0o700)
    for name in ("link", "file"):
        with pytest.raises(IntegrityError):
            sockets.prepare(tmp_path / name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_another_users_folder_is_refused(tmp_path: Path):
    sockets.prepare(tmp_path / "triton")
    os.chown(tmp_path / "triton", 65534, 65534)
    with pytest.raises(IntegrityError):
        sockets.prepare(tmp_path / "triton")


@pytest.mark.parametrize("in_a_child", [False, True])
def test_all_sockets_must_be_there(tmp_path: Path, in_a_child: bool):
    with _listener(tmp_path, "unix", "a b", "unix", "ü", in_a_child=in_a_child) as pid:
        assert sockets.listens_on(pid, {"a b", "ü"})
        assert not sockets.listens_on(pid, {"a b", "ü", "c"})


def test_what_the_driver_of_cuda_listens_on_is_no_door_of_triton(tmp_path: Path):
    with _listener(tmp_path, "unix", "a", "unix", "@cuda-uvmfd-4026531836-1216", in_a_child=True) as pid:
        assert sockets.listens_on(pid, {"a"})


@pytest.mark.parametrize(
    ("place", "named"),
    [
        (("tcp", "127.0.0.1"), "tcp 0100007F:"),
        (("tcp", "0.0.0.0"), "tcp 00000000:"),  # noqa: S104 - what must not be
        (("tcp", "::"), "tcp6 "),
        (("unix", "@abstract-of-a-test"), "unix @abstract-of-a-test"),
        (("unix", "elsewhere"), "unix elsewhere"),
    ],
)
@pytest.mark.parametrize("in_a_child", [False, True])
def test_whatever_else_is_listened_on_is_named(tmp_path: Path, place: tuple[str, str], named: str, in_a_child: bool):
    with (
        _listener(tmp_path, "unix", "a", *place, in_a_child=in_a_child) as pid,
        pytest.raises(MissingProgramError, match=named),
    ):
        sockets.listens_on(pid, {"a"})


def test_a_process_that_has_ended_listens_nowhere(tmp_path: Path):
    with _listener(tmp_path, "unix", "a") as pid:
        pass
    assert not sockets.listens_on(pid, {"a"})


@pytest.mark.parametrize("name", ["triton", "with space", "ü%41;#?", "n" * 120])
def test_grpc_reaches_a_folder_whatever_its_name_is_and_again_after_a_restart(tmp_path: Path, name: str):
    folder = tmp_path / name
    sockets.prepare(folder)
    options = [
        *sockets.CHANNEL_OPTIONS,
        ("grpc.initial_reconnect_backoff_ms", 20),
        ("grpc.max_reconnect_backoff_ms", 50),
    ]
    with sockets.grpc_target(folder) as target, grpc.insecure_channel(target, options=options) as channel:
        for _ in range(2):
            with _health_server(folder):
                # A call that begins just as the server ends may still be lost.
                wait_until(lambda: _is_serving(channel))
            sockets.prepare(folder)


def _is_serving(channel: grpc.Channel) -> bool:
    try:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=LIMIT_S)
    except grpc.RpcError:
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


@contextmanager
def _health_server(folder: Path) -> Iterator[None]:
    server = grpc.server(futures.ThreadPoolExecutor(1))
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
    with sockets.grpc_target(folder) as target:
        server.add_insecure_port(target)
        server.start()
        try:
            yield
        finally:
            server.stop(None).wait()
