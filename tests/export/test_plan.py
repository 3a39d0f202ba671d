"""`appliance plan`: what it prints, for people and for scripts, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.cli.rim import run
from appliance.inference.config import EngineConfig
from appliance.layout import Layout
from appliance.targets import get
from export.checkpoint import open_checkpoint
from export.estimate import estimate
from export.holdings import Sizes
from export.prediction import EFFICIENCY
from tests.checkpoints import make_tiny_checkpoint
from tests.cli.outcome import Outcome
from tests.installed import files_in, install_checkpoint

CONTEXT_TOKENS = 8192


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    folder = tmp_path_factory.mktemp("box")
    layout = Layout(root=folder / "root", cache=folder / "cache")
    checkpoint = make_tiny_checkpoint(folder / "checkpoint", max_position_embeddings=CONTEXT_TOKENS)
    install_checkpoint(layout, "tiny", files_in(checkpoint))
    return layout


@pytest.fixture
def call(layout: Layout, capsys: pytest.CaptureFixture[str]):
    def invoke(*words: str) -> Outcome:
        status = run(["--root", str(layout.root), "plan", *words])
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return invoke


def test_json_has_every_figure(call, layout: Layout) -> None:
    document = call("tiny", "--target", "jetson-orin-nano-8g", "--json").document
    made = estimate(layout, "tiny", "jetson-orin-nano-8g", None, context_tokens=None, slots=None)
    assert document["preset"] == "tensorrt-bf16"
    assert (document["slots"], document["context_tokens"]) == (4, 2048)
    # 2 layers, key and value, 2 heads of 16 elements in 16 bits.
    assert document["cache_bytes_per_token"] == 2 * 2 * 2 * 16 * 2
    assert document["weights_bytes"] == made.sizes.weights_bytes > document["read_bytes_per_step"]
    assert document["build_bytes"] == {"least": 3 * made.sizes.weights_bytes, "most": 4 * made.sizes.weights_bytes}
    assert document["export_bytes"] > document["weights_bytes"]
    assert document["efficiency"] == EFFICIENCY
    assert document["memory"] is None
    (board,) = document["boards"]
    assert board["fits"] is True
    assert board["memory_bytes"] == 8 * 10**9
    parts = {name: value for name, value in board["memory"].items() if name != "total_bytes"}
    assert sum(parts.values()) == board["memory"]["total_bytes"]
    # The plan has rows for a chunk more, and the cache as many slots again for prefixes.
    assert parts["cache_bytes"] == 2 * 4 * (2048 + 512) * document["cache_bytes_per_token"]
    assert board["most_context_tokens"] == CONTEXT_TOKENS
    assert [each["mode"] for each in board["tokens_per_s"]] == ["MAXN_SUPER", "25W", "15W", "7W"]
    fast, _, slow, _ = board["tokens_per_s"]
    assert fast["one_stream"] / slow["one_stream"] == pytest.approx(102 / 68)
    assert fast["all_slots"] == pytest.approx(
        4 * EFFICIENCY * 102e9 / (document["read_bytes_per_step"] + parts["cache_bytes"] / 2)
    )


def test_words_for_people(call) -> None:
    said = call("tiny", "--target", "jetson-thor-128g", "--context", "512", "--slots", "2").out
    assert "tiny for jetson-thor-128g, preset tensorrt-bf16: 2 slots of 512 tokens" in said
    assert "building the plan" in said
    assert "Jetson AGX Thor 128GB" in said
    assert "2 SLOTS" in said
    assert [line.split()[-1] for line in said.splitlines() if "70W" in line] == ["unknown"]


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        ([], ["4,096 tokens", "--context", "max_context_tokens", f"{CONTEXT_TOKENS:,}"]),
        (["--target", "jetson-orin-nano-8g"], ["2,048 tokens", "--context", "appliance tensorrt build"]),
    ],
)
def test_a_context_that_nobody_stated_is_explained(call, words: list[str], facts: list[str]) -> None:
    (line,) = (line for line in call("tiny", *words).out.splitlines() if line.startswith("context"))
    assert [fact for fact in facts if fact not in line] == []
    stated = call("tiny", *words, "--context", "512").out
    assert not [line for line in stated.splitlines() if line.startswith("context")]


def test_every_board_of_a_target_is_predicted(call) -> None:
    ran = call("tiny", "--target", "cuda-sm89", "--preset", "int4")
    assert ran.status == 0
    assert all(board.name in ran.out for board in get("cuda-sm89").boards)
    assert "building" not in ran.out


def test_on_a_cpu_speed_is_measured_not_predicted(call) -> None:
    ran = call("tiny")
    assert "make bench measures it" in ran.out
    document = call("tiny", "--json").document
    assert document["boards"] == []
    assert document["build_bytes"] is None
    assert (document["slots"], document["context_tokens"]) == (EngineConfig().slots, 4096)
    # In 32 bits.
    assert document["cache_bytes_per_token"] == 2 * 2 * 2 * 16 * 4
    assert document["memory"]["cache_bytes"] == 8 * 4096 * document["cache_bytes_per_token"]


def test_what_cannot_fit_is_refused_with_exit_code_4(call) -> None:
    ran = call("tiny", "--target", "jetson-orin-nano-8g", "--slots", "10000", "--context", "8192", "--json")
    assert ran.status == 4
    assert ran.out == ""
    failure = json.loads(ran.err)
    assert failure["error"] == "NoSpaceError"
    assert "of cache (20,000 slots of 8,704 rows)" in failure["message"]
    # What the hint offers is taken.
    words = failure["hint"].removeprefix("this would fit: ").split(", or ")[0].split()
    assert words[0] == "--context"
    again = call("tiny", "--target", "jetson-orin-nano-8g", "--slots", "10000", *words)
    assert again.status == 0


def test_a_board_that_is_too_small_is_marked_where_another_holds_it(call, monkeypatch: pytest.MonkeyPatch) -> None:
    large = Sizes(weights_bytes=30 * 10**9, read_bytes=30 * 10**9, cache_bytes_per_token=1_000, context_tokens=4096)
    monkeypatch.setattr(Sizes, "of", lambda *_: large)
    ran = call("tiny", "--target", "cuda-sm89")
    assert ran.status == 0
    marked = {line.split("  ")[0]: "too much" in line for line in ran.out.splitlines() if " GB  " in line}
    assert {"L4": True, "L40S": False, "GeForce RTX 4090": True}.items() <= marked.items()
    boards = {each["name"]: each for each in call("tiny", "--target", "cuda-sm89", "--json").document["boards"]}
    assert [boards["L4"]["fits"], boards["L4"]["most_slots"]] == [False, 0]
    assert boards["L40S"]["fits"]


def test_a_board_too_small_to_build_on_is_told_so(call, monkeypatch: pytest.MonkeyPatch) -> None:
    large = Sizes(weights_bytes=3 * 10**9, read_bytes=3 * 10**9, cache_bytes_per_token=1_000, context_tokens=4096)
    monkeypatch.setattr(Sizes, "of", lambda *_: large)
    ran = call("tiny", "--target", "jetson-orin-nano-8g")
    assert ran.status == 0
    assert "more than Jetson Orin Nano 8GB has (8.00 GB): give it swap space for the build" in ran.out


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["absent"], 3, "'absent' is not installed"),
        (["tiny", "--target", "tpu"], 3, "no target 'tpu'"),
        (["tiny", "--target", "cuda-sm90", "--preset", "balanced"], 3, "no preset 'balanced'"),
        (["tiny", "--context", "8193"], 2, "8,193 tokens exceeds the model's limit of 8,192"),
        (["tiny", "--slots", "0"], 2, "0 is not in the range"),
    ],
)
def test_wrong_words_have_their_exit_codes(call, words: list[str], status: int, message: str) -> None:
    ran = call(*words)
    assert ran.status == status
    assert message in ran.err


def test_the_targets_context_bows_to_the_models(tmp_path: Path) -> None:
    layout = Layout(root=tmp_path / "root", cache=tmp_path / "cache")
    install_checkpoint(layout, "tiny", files_in(make_tiny_checkpoint(tmp_path / "checkpoint")))
    made = estimate(layout, "tiny", "cuda-sm90", None, context_tokens=None, slots=None)
    config = open_checkpoint(files_in(tmp_path / "checkpoint")).config
    assert made.use.cache.context_tokens == config["max_position_embeddings"]
    assert made.use.slots == 8
