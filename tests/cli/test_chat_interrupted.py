"""Ctrl-C in a conversation, with a model that never stops by itself: the real command over a fake Triton."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.running_process import RunningProcess
from appliance.supervisor import state
from appliance.supervisor.state import ModelState, Phase, UpState
from tests.gateway.fake_triton import endless, words
from tests.gateway.harness import Harness, LoopThread
from tests.gateway.tiny_artefact import write_artefact
from tests.waiting import wait_until

MODEL = "tiny-instruct"


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[Harness]:
    """A gateway, and the state of a box that this process pretends to be."""
    thread = LoopThread()
    harness = Harness(thread, (write_artefact(tmp_path / "artefact"),), drain_s=0.1)
    harness.wait_until_ready()
    state.write(
        tmp_path / "run",
        UpState(
            phase=Phase.SERVING,
            supervisor=RunningProcess.own(),
            models=(ModelState(MODEL, "cpu", "test", str(tmp_path / "artefact"), "0" * 64),),
            http=harness.url.removeprefix("http://"),
            grpc=harness.grpc_address,
            metrics="127.0.0.1:3",
        ),
    )
    yield harness
    harness.close()
    thread.close()


def test_ctrl_c_stops_the_answer_and_frees_its_slot_but_not_the_conversation(harness: Harness, tmp_path: Path):
    harness.triton.script = endless()
    command = [sys.executable, "-m", "appliance.cli", "--root", str(tmp_path), "chat"]
    terminal, end = pty.openpty()
    with subprocess.Popen(command, stdin=end, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as chat:
        os.close(end)
        assert chat.stdout
        os.write(terminal, b"hello\n")
        said = b""
        while b"word word" not in said:
            said += os.read(chat.stdout.fileno(), 4096)
        chat.send_signal(signal.SIGINT)
        wait_until(lambda: harness.triton.running == 0)
        harness.triton.script = words("an end")
        os.write(terminal, b"again\n/quit\n")
        told, complaints = chat.communicate()
    os.close(terminal)
    assert chat.returncode == 0, complaints
    assert b"(stopped)" in told
    assert b"an end" in told
    # What came of the first answer stays in the conversation.
    first, second = harness.triton.asked
    assert second.prompt_ids[: len(first.prompt_ids)] == first.prompt_ids
    assert len(second.prompt_ids) > 2 * len(first.prompt_ids)
