import json
from pathlib import Path

import pytest

from appliance.supervisor import state
from tests.running_box import RunningBox
from tests.supervisor.states import STATE
from tests.tiny_artefact import TINY
from tests.waiting import wait_until


def _status(tmp_path: Path, *words: str):
    return RunningBox(tmp_path).call("status", *words)


def test_a_box_that_is_not_running_is_told_with_its_own_exit_code(tmp_path: Path):
    told = _status(tmp_path)
    assert told.returncode == 13
    assert "nothing is being served" in told.stderr


def test_scripts_learn_that_it_is_not_running(tmp_path: Path):
    told = _status(tmp_path, "--json")
    assert told.returncode == 13
    assert json.loads(told.stdout) == {"healthy": False, "running": False}


def test_a_supervisor_whose_children_do_not_answer_is_not_healthy(tmp_path: Path):
    box = RunningBox(tmp_path)
    state.write(tmp_path / "run", STATE)
    page = box.call("status")
    assert page.returncode == 13
    assert "not healthy" in page.stdout
    assert "slots     unknown" in page.stdout
    assert box.status["running"]
    assert not box.status["healthy"]


@pytest.mark.triton
def test_one_page_tells_how_a_running_box_is_doing(tmp_path: Path):
    with RunningBox(tmp_path) as box:
        with box.completion(max_tokens=5, ignore_eos=True) as answer:
            assert answer.status == 200
        wait_until(lambda: box.status["requests"].get("length", 0) >= 2)
        page = box.call("status")
        document = box.status
    assert page.returncode == 0, page.stdout
    for words in (
        "box       healthy, serving",
        f"model     {TINY} (cpu-balanced)",
        "0 of 4 busy",
        "tokens/s",
        "2.51.0",
    ):
        assert words in page.stdout
    assert "warning: Triton 2.51.0" in page.stdout
    assert document["healthy"]
    assert document["engine"]["slots"] == 4
    assert document["engine"]["completion_tokens_total"] >= 6
    assert set(document["memory_bytes"]) == {"supervisor", "gateway", "triton", "engine"}
    assert min(document["memory_bytes"].values()) > 1 << 20
    assert document["box"]["artefact_sha256"]


@pytest.mark.triton
def test_a_client_that_goes_away_frees_its_slot(tmp_path: Path):
    with RunningBox(tmp_path) as box:
        stream = box.completion(max_tokens=60_000, stream=True, ignore_eos=True)
        stream.readline()
        wait_until(lambda: box.slots_busy == 1)
        stream.close()
        wait_until(lambda: box.slots_busy == 0)
        assert box.status["requests"]["cancelled"] == 1
