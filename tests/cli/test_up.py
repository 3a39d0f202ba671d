"""`appliance up` as an operator sees it: the real command, the real Triton, a tiny model."""

import hashlib
import json
import signal
import socket
import subprocess
import urllib.error
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from appliance.artefact.folder import read_manifest
from appliance.artefact.manifest import MANIFEST_NAME, TOKENIZER, FileEntry
from appliance.triton import shared_memory
from tests.running_box import RunningBox
from tests.tiny_artefact import TINY
from tests.waiting import LIMIT_S, wait_until

pytestmark = pytest.mark.triton
# Longer than any test needs, within the tiny model's context.
LONG = {"max_tokens": 60_000, "stream": True, "ignore_eos": True}


@pytest.fixture
def box(tmp_path: Path):
    """A box to do something to."""
    with RunningBox(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def quiet_box(tmp_path_factory: pytest.TempPathFactory):
    """A box to look at."""
    with RunningBox(tmp_path_factory.mktemp("box")) as running:
        yield running


def _events(lines) -> list[str]:
    return [line.decode().strip().removeprefix("data: ") for line in lines if line.strip()]


def _shared_memory_of(box: RunningBox) -> set[Path]:
    return set(shared_memory.SHARED_MEMORY.glob(f"appliance-{shared_memory.owner(box.root / 'run')}-*"))


def _has_ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _family(box: RunningBox) -> list[int]:
    return [process.pid for process in psutil.Process(box.process.pid).children(recursive=True)]


def test_it_says_where_to_point_a_client_and_how_old_triton_is(quiet_box: RunningBox):
    wait_until(lambda: "Ctrl-C" in quiet_box.output.read_text())
    said = quiet_box.output.read_text()
    assert f"http://{quiet_box.state.http}/v1" in said
    assert "warning: Triton 2.51.0 (release 24.10) lacks" in said


def test_only_loopback_is_listened_on(quiet_box: RunningBox):
    listening = {
        connection.laddr.ip.removeprefix("::ffff:")
        for pid in [quiet_box.process.pid, *_family(quiet_box)]
        for connection in psutil.Process(pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_a_second_up_on_the_same_root_is_refused(quiet_box: RunningBox):
    second = quiet_box.call("up")
    assert second.returncode == 2
    assert f"already serving {TINY}" in second.stderr
    assert quiet_box.is_serving


def test_triton_killed_mid_stream_gives_the_client_an_error_and_the_next_request_an_answer(box: RunningBox):
    with box.completion(**LONG) as stream:
        stream.readline()
        box.kill(box.state.triton_pid)
        last = _events(stream)[-1]
    assert json.loads(last)["error"]["code"] == "unavailable"
    wait_until(lambda: box.has_restarted(triton=1))
    with box.completion(max_tokens=3) as answer:
        assert json.load(answer)["usage"]["completion_tokens"] == 3
    assert "Triton stopped working (ended by SIGKILL); starting it again now" in box.output.read_text()


def test_the_engines_process_killed_is_started_again(box: RunningBox):
    (engine,) = psutil.Process(box.state.triton_pid).children()
    box.kill(engine.pid)
    wait_until(lambda: box.has_restarted(triton=1))
    with box.completion(max_tokens=1) as answer:
        assert answer.status == 200


def test_a_killed_gateway_is_started_again(box: RunningBox):
    box.kill(box.state.gateway_pid)
    wait_until(lambda: box.has_restarted(gateway=1))
    with box.completion(max_tokens=1) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_running_stream_finish_and_refuses_new_requests(box: RunningBox, number: signal.Signals):
    http = box.state.http
    family = _family(box)
    with box.completion(max_tokens=3000, stream=True, ignore_eos=True) as stream:
        stream.readline()
        box.process.send_signal(number)
        events = _events(stream)
    assert events[-1] == "[DONE]"
    assert json.loads(events[-2])["choices"][0]["finish_reason"] == "length"
    assert box.process.wait() == 0
    assert all(_has_ended(pid) for pid in family)
    assert not (box.root / "run" / "up.json").exists()
    with pytest.raises(urllib.error.URLError) as caught:
        urllib.request.urlopen(f"http://{http}/health/live", timeout=LIMIT_S)
    assert isinstance(caught.value.reason, ConnectionRefusedError)


def test_a_second_signal_does_not_wait_for_streams(box: RunningBox):
    family = _family(box)
    with box.completion(**LONG) as stream:
        stream.readline()
        box.process.send_signal(signal.SIGINT)
        wait_until(lambda: "press Ctrl-C again" in box.output.read_text())
        box.process.send_signal(signal.SIGINT)
        assert box.process.wait() == 130
    wait_until(lambda: all(_has_ended(pid) for pid in family))


def test_a_part_that_has_to_be_ended_by_force_is_told_with_an_exit_code_of_its_own(tmp_path: Path):
    with RunningBox(tmp_path, drain_s=1.0) as box:
        (engine,) = psutil.Process(box.state.triton_pid).children()
        # Triton waits for its model, and gives up after the time for running requests.
        engine.suspend()
        box.process.send_signal(signal.SIGTERM)
        assert box.process.wait() == 15
        assert "Triton did not stop when it was asked to" in box.output.read_text()
        assert _has_ended(engine.pid)


def test_a_killed_supervisor_leaves_no_processes(box: RunningBox):
    with box.chat(max_tokens=2, response_format={"type": "json_object"}) as answer:
        assert answer.status == 200
    family = _family(box)
    # The gateway and the program of its template; Triton, its model, and the program that compiles grammars, which the
    # first grammar starts.
    assert len(family) == 5
    box.process.kill()
    box.process.wait()
    wait_until(lambda: all(_has_ended(pid) for pid in family))
    # What the next `up` on this root would remove; whether there is anything depends on who died first.
    shared_memory.clean(shared_memory.owner(box.root / "run"))
    assert not _shared_memory_of(box)


def test_up_after_a_killed_supervisor_ends_and_removes_what_it_left(box: RunningBox):
    family = _family(box)
    (engine,) = psutil.Process(box.state.triton_pid).children()
    # Halted, it cannot end itself however long the next start takes.
    engine.suspend()
    box.process.kill()
    box.process.wait()
    assert (box.root / "run" / "up.json").exists()
    left = _shared_memory_of(box)
    box.start()
    wait_until(lambda: box.is_serving or box.process.poll() is not None)
    said = box.output.read_text()
    assert "the previous run did not stop cleanly" in said
    assert "processes of an earlier run" in said
    assert not left & _shared_memory_of(box)
    assert all(_has_ended(pid) for pid in family)
    with box.completion(max_tokens=1) as answer:
        assert answer.status == 200


def test_up_on_a_copied_root_leaves_the_box_alone_that_it_was_copied_from(
    box: RunningBox, tmp_path_factory: pytest.TempPathFactory
):
    copy = tmp_path_factory.mktemp("elsewhere") / "copy"
    subprocess.run(["cp", "-a", "--", box.root, copy], check=True)
    other = RunningBox(copy)
    assert other.call("status").returncode == 13
    before = box.state
    with other:
        assert "of an earlier run" not in other.output.read_text()
        assert box.state == before
        for each in (box, other):
            with each.completion(max_tokens=1, ignore_eos=True) as answer:
                assert answer.status == 200
    assert box.state == before
    assert box.status["healthy"]


def test_nothing_is_left_in_shared_memory(box: RunningBox):
    mark = shared_memory.owner(box.root / "run")
    assert list(shared_memory.SHARED_MEMORY.glob(f"*{mark}*"))
    box.process.send_signal(signal.SIGTERM)
    box.process.wait()
    assert not list(shared_memory.SHARED_MEMORY.glob(f"*{mark}*"))


def _refused(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return RunningBox(tmp_path).call("up", *words)


def test_production_refuses_the_wheels_triton_unless_told_otherwise(tmp_path: Path):
    box = RunningBox(tmp_path)
    refused = box.call("up", "--production")
    assert refused.returncode == 5
    assert "CVE-2026-24207" in refused.stderr
    assert "--allow-old-triton" in refused.stderr
    with RunningBox(tmp_path / "2", ["--production", "--allow-old-triton"]) as allowed:
        assert allowed.is_serving


@pytest.mark.parametrize("option", ["--http", "--grpc", "--triton-http"])
def test_a_taken_port_is_refused_before_anything_starts(tmp_path: Path, option: str):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused = _refused(tmp_path, option, f"127.0.0.1:{port}")
    assert refused.returncode == 6
    assert f"127.0.0.1:{port} is in use" in refused.stderr
    assert not (tmp_path / "run" / "triton.log").exists()


@pytest.mark.parametrize("option", ["--http", "--grpc", "--triton-http"])
def test_an_address_that_others_reach_is_refused(tmp_path: Path, option: str):
    refused = _refused(tmp_path, option, "0.0.0.0:0")
    assert refused.returncode == 2
    assert "0.0.0.0:0" in refused.stderr
    assert "TLS" in refused.stderr
    assert not (tmp_path / "run" / "triton.log").exists()


def test_a_model_that_is_not_exported_is_refused_with_the_commands(tmp_path: Path):
    refused = _refused(tmp_path, "huge")
    assert refused.returncode == 3
    assert "appliance export huge" in refused.stderr


@pytest.mark.parametrize("name", ["model.onnx.data", "tokenizer.json", "chat_template.jinja", "manifest.json"])
def test_damage_to_any_file_of_an_artefact_is_refused_with_its_reason_and_one_status(tmp_path: Path, name: str):
    box = RunningBox(tmp_path)
    damaged = tmp_path / "exports" / TINY / "cpu-balanced" / name
    content = bytearray(damaged.read_bytes())
    content[100] ^= 1
    damaged.write_bytes(content)
    refused = box.call("up")
    assert refused.returncode == 8, refused.stderr
    assert "digest" in refused.stderr
    assert name.removesuffix(".json") in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_tokenizer_that_was_damaged_before_it_was_digested_has_the_same_status(tmp_path: Path):
    box = RunningBox(tmp_path)
    folder = tmp_path / "exports" / TINY / "cpu-balanced"
    (folder / TOKENIZER).write_bytes(b"{}")
    manifest = read_manifest(folder)
    entry = FileEntry(TOKENIZER, 2, hashlib.sha256(b"{}").hexdigest())
    files = tuple(entry if file.name == TOKENIZER else file for file in manifest.files)
    (folder / MANIFEST_NAME).write_bytes(replace(manifest, files=files).to_bytes())
    refused = box.call("up")
    assert refused.returncode == 8, refused.stderr
    assert "tokenizer.json cannot be read" in refused.stderr
    assert "Traceback" not in refused.stderr
