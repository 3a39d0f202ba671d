import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.cli import chat
from tests.running_box import RunningBox
from tests.tiny_artefact import TINY


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBox]:
    with RunningBox(tmp_path_factory.mktemp("chat")) as running:
        yield running


def test_without_a_running_box_it_says_how_to_start_one(tmp_path: Path):
    told = RunningBox(tmp_path).call("chat", "hello")
    assert told.returncode == 13
    assert "hint: start it: appliance up" in told.stderr


@pytest.mark.triton
def test_a_prompt_argument_is_answered_once(box: RunningBox):
    told = box.call("chat", "--temperature", "0", "--max-tokens", "5", "hello")
    assert told.returncode == 0
    assert told.stdout.strip()


@pytest.mark.triton
def test_json_tells_why_the_answer_ended_and_what_it_took(box: RunningBox):
    told = box.call("chat", "--json", "--temperature", "0", "--max-tokens", "5", "hello")
    answer = json.loads(told.stdout)
    assert answer["model"] == TINY
    used = answer["usage"]["completion_tokens"]
    assert answer["finish_reason"] == ("length" if used == 5 else "stop")
    assert 0 < used <= 5


@pytest.mark.triton
def test_standard_input_is_the_prompt_where_there_is_no_terminal(box: RunningBox):
    told = subprocess.run(
        box.command("chat", "--temperature", "0", "--max-tokens", "3"), input=b"hello", capture_output=True, check=False
    )
    assert told.returncode == 0
    assert told.stdout.strip()


@pytest.mark.triton
@pytest.mark.parametrize(("given", "why"), [(b"  \n", b"empty"), (b"\xff\xfe", b"UTF-8")])
def test_a_prompt_that_is_no_text_is_refused(box: RunningBox, given: bytes, why: bytes):
    told = subprocess.run(box.command("chat"), input=given, capture_output=True, check=False)
    assert told.returncode == 2
    assert why in told.stderr


@pytest.mark.triton
def test_what_the_box_refuses_is_one_line(box: RunningBox):
    told = box.call("chat", "--max-tokens", "1000000", "hello")
    assert told.returncode == 11
    assert "max_tokens" in told.stderr
    assert "Traceback" not in told.stderr


@pytest.mark.triton
def test_a_conversation_answers_forgets_and_ends(box: RunningBox):
    terminal, end = pty.openpty()
    with subprocess.Popen(
        box.command("chat", "--max-tokens", "3"), stdin=end, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as chat:
        os.close(end)
        os.write(terminal, b"hello\n/clear\nhello again\n/quit\n")
        told, complaints = chat.communicate()
    os.close(terminal)
    assert chat.returncode == 0, complaints
    assert b"(a new conversation)" in told
    assert not complaints


@pytest.mark.triton
def test_a_proxy_in_the_environment_does_not_come_between(box: RunningBox, monkeypatch: pytest.MonkeyPatch):
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    told = box.call("chat", "--max-tokens", "2", "hello")
    assert told.returncode == 0, told.stderr


@pytest.mark.parametrize(("is_terminal", "shown"), [(True, "a[2Jb\tc\n"), (False, "a\x1b[2Jb\tc\n")])
def test_a_models_escape_sequences_do_not_reach_a_terminal(
    is_terminal: bool, shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    chat._echo("a\x1b[2Jb\tc\n")
    assert capsys.readouterr().out == shown
