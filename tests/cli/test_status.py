import dataclasses
import json
from pathlib import Path

import pytest

from appliance.cli.status import document, page
from appliance.disk import Disk
from appliance.edgellm import EdgeLlm, State
from appliance.jetson import read_board
from appliance.supervisor import state
from appliance.supervisor.status import BoxStatus, ModelStatus
from tests.jetson.captured import unpack
from tests.running_box import RunningBox
from tests.supervisor.states import MODEL, OTHER_MODEL, STATE
from tests.tiny_artefact import TINY
from tests.waiting import wait_until


def _status(tmp_path: Path, *words: str):
    return RunningBox(tmp_path).call("status", *words)


def test_a_box_that_is_not_running_is_told_with_its_own_exit_code(tmp_path: Path):
    told = _status(tmp_path)
    assert told.returncode == 13
    assert "not serving a model" in told.stderr


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


def test_each_model_has_its_own_load_for_people_and_for_scripts():
    by_operators = dataclasses.replace(MODEL, operators="avx2")
    shown = BoxStatus(
        up=dataclasses.replace(STATE, models=(by_operators, OTHER_MODEL)),
        uptime_s=1.0,
        models=(
            ModelStatus(by_operators, healthy=True, figures={"slots": 4, "slots_busy": 1}, requests={"stop": 2}),
            ModelStatus(OTHER_MODEL, healthy=False, figures={"slots": 2, "files_changed": 1}, requests={}),
        ),
        gateway_healthy=True,
        ready=True,
        memory_bytes={},
        disk=Disk(0, is_full=False),
    )
    lines = page(shown).splitlines()
    first, second = (
        next(number for number, line in enumerate(lines) if line.startswith(f"model     {name} "))
        for name in ("tiny", "small")
    )
    assert "slots     1 of 4 busy" in lines[first:second]
    assert "slots     0 of 2 busy" in lines[second:]
    assert "operators avx2" in lines[first:second]
    assert not any(line.startswith("operators") for line in lines[second:])
    assert "files of small were changed" in page(shown)
    told = json.loads(json.dumps(document(shown)))
    assert told["models"]["tiny"]["engine"] == {"slots": 4, "slots_busy": 1}
    assert told["models"]["small"] == {
        "healthy": False,
        "state": None,
        "error": None,
        "on_demand": None,
        "keeps_s": None,
        "operators": "",
        "engine": {"slots": 2, "files_changed": 1},
        "requests": {},
        "memory_bytes": None,
    }
    assert told["engine"]["slots"] == 6
    assert [model["name"] for model in told["box"]["models"]] == ["tiny", "small"]


@pytest.mark.parametrize(
    ("on_demand", "keeps_s", "shown"),
    [
        (None, None, "5.00 GB"),
        (False, None, "5.00 GB, always loaded"),
        (True, None, "5.00 GB, loaded until its memory is needed"),
        (True, 90.0, "5.00 GB, unloaded in 0:01:30 if no request comes"),
    ],
)
def test_a_model_shows_the_size_of_its_process_and_until_when_it_stays(
    on_demand: bool | None, keeps_s: float | None, shown: str
):
    model = ModelStatus(
        MODEL, healthy=True, figures={}, requests={}, memory_bytes=5 * 10**9, on_demand=on_demand, keeps_s=keeps_s
    )
    box = BoxStatus(
        STATE, 1.0, (model,), gateway_healthy=True, ready=True, memory_bytes={}, disk=Disk(0, is_full=False)
    )
    assert f"process   {shown}" in page(box).splitlines()


NOT_INSTALLED = EdgeLlm(State.NOT_INSTALLED)


def _shown(tree: str, root: Path, edge_llm: EdgeLlm | None = NOT_INSTALLED, **figures: float) -> BoxStatus:
    return BoxStatus(
        up=STATE,
        uptime_s=1.0,
        models=(ModelStatus(MODEL, healthy=True, figures={"slots": 4, **figures}, requests={}),),
        gateway_healthy=True,
        ready=True,
        memory_bytes={},
        disk=Disk(0, is_full=True),
        board=read_board(unpack(tree, root)) if tree else None,
        edge_llm=edge_llm,
    )


def test_a_jetson_shows_its_power_its_heat_and_how_many_slots_it_may_fill(tmp_path: Path):
    shown = page(_shown("thor", tmp_path, slots_busy=1, slots_allowed=1))
    assert "slots     1 of 4 busy, 1 allowed" in shown
    assert "board     NVIDIA Jetson AGX Thor Developer Kit, Jetson Linux 38.2.0\n" in shown
    assert "power     mode 120W, 28.1 W, GPU at 1260 of 1575 MHz\n" in shown
    assert (
        "heat      108.9 °C in gpu-thermal, 0.1 °C below the throttling limit, "
        "clocks lowered by gpu-throttle-alert, devfreq-gpu-gpc-0"
    ) in shown


def test_a_cool_jetson_says_nothing_of_fewer_slots(tmp_path: Path):
    shown = page(_shown("orin-nano", tmp_path, slots_busy=1, slots_allowed=4))
    assert "slots     1 of 4 busy\n" in shown
    assert "throttled 52 times" in shown
    assert "clocks lowered by" not in shown


def test_scripts_get_the_whole_board_and_its_null_figures(tmp_path: Path):
    board = json.loads(json.dumps(document(_shown("agx-orin", tmp_path))))["board"]
    assert (board["power_mode"], board["l4t"], board["overcurrent_events"]) == ("MAXN", "36.4.3", None)
    assert board["headroom_c"] == 27.5
    assert board["zones"][0] == {
        "name": "cpu-thermal",
        "celsius": 71.5,
        "trips": [
            {"kind": "critical", "celsius": 104.5, "devices": None},
            {"kind": "passive", "celsius": 99.0, "devices": None},
        ],
    }


def test_another_machine_shows_nothing_of_a_board(tmp_path: Path):
    status = _shown("", tmp_path, edge_llm=None)
    assert not {"board", "edge_llm"} & document(status).keys()
    assert not any(line.startswith(("board", "power", "heat", "edge-llm")) for line in page(status).splitlines())


def test_a_jetson_tells_how_far_edge_llm_comes_up(tmp_path: Path):
    found = EdgeLlm(State.CANNOT_LOAD, "0.11.0", "sm_87", "OSError: no library")
    status = _shown("orin-nano", tmp_path, edge_llm=found)
    assert "edge-llm  installed, cannot load: OSError: no library" in page(status)
    assert json.loads(json.dumps(document(status)))["edge_llm"] == {
        "state": "installed, cannot load",
        "version": "0.11.0",
        "gpu": "sm_87",
        "reason": "OSError: no library",
    }


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
    # What scripts of before read, and the same by model.
    assert document["box"]["model"] == document["box"]["models"][0]["name"] == TINY
    assert document["box"]["artefact_sha256"] == document["box"]["models"][0]["artefact_sha256"]
    (model,) = document["models"].values()
    assert document["models"].keys() == {TINY}
    assert model["healthy"]
    assert model["engine"]["slots"] == 4
    assert model["requests"] == document["requests"]
    assert model["memory_bytes"] == document["memory_bytes"]["engine"]


@pytest.mark.triton
def test_weights_that_are_overwritten_in_place_make_the_box_unhealthy_and_say_what_to_do(tmp_path: Path):
    with RunningBox(tmp_path) as box:
        artefact = Path(box.state.default_model.artefact)
        weights = max(artefact.iterdir(), key=lambda path: path.stat().st_size)
        with weights.open("r+b") as stream:
            stream.seek(-1, 2)
            last = stream.read(1)
            stream.seek(-1, 2)
            stream.write(bytes([last[0] ^ 1]))
        wait_until(lambda: box.status["engine"].get("files_changed"))
        told = box.call("status")
        assert told.returncode == 13
        assert "export the model again" in told.stdout
        assert weights.name in (tmp_path / "run" / "triton.log").read_text()


@pytest.mark.triton
def test_a_client_that_goes_away_frees_its_slot(tmp_path: Path):
    with RunningBox(tmp_path) as box:
        stream = box.completion(max_tokens=60_000, stream=True, ignore_eos=True)
        stream.readline()
        wait_until(lambda: box.slots_busy == 1)
        stream.close()
        wait_until(lambda: box.slots_busy == 0)
        wait_until(lambda: box.status["requests"].get("cancelled") == 1)
