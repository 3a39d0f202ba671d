"""The target files that are shipped: complete, and without contradictions."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

from appliance.artefact.manifest import ORT_CPU
from appliance.targets import Target, targets
from appliance.targets.load import target_from_text
from export.presets import PRESETS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "formats" / "target.md"
# Name of a target -> its compute capability.
EXPECTED = {
    "cpu": "",
    "cuda-sm80": "8.0",
    "cuda-sm89": "8.9",
    "cuda-sm90": "9.0",
    "cuda-sm100": "10.0",
    "cuda-sm120": "12.0",
    "jetson-orin-nano-8g": "8.7",
    "jetson-orin-agx-64g": "8.7",
    "jetson-thor-128g": "11.0",
}
every_target = pytest.mark.parametrize("target", targets().values(), ids=targets())


def test_all_targets_are_there_with_their_compute_capability() -> None:
    assert {target.name: target.compute_capability for target in targets().values()} == EXPECTED


def test_a_file_is_named_after_its_target() -> None:
    names = {file.name for file in (files("appliance.targets") / "data").iterdir() if file.name.endswith(".toml")}
    assert names == {f"{name}.toml" for name in targets()}


@every_target
def test_a_gpu_has_all_that_a_plan_and_a_prediction_need(target: Target) -> None:
    if not target.compute_capability:
        assert (target.boards, target.cuda, target.tensorrt, target.jetpack, target.profile) == ((), *[None] * 4)
        return
    assert target.boards
    assert target.profile is not None
    assert target.cuda is not None
    # CUDA 13 is what the locked packages are made for; TensorScatter came with TensorRT 10.15.
    assert not target.cuda.covers("12.9")
    assert target.cuda.covers("13.2")
    assert target.tensorrt is not None
    assert not target.tensorrt.covers("10.14")
    assert target.tensorrt.covers("10.16.1")
    assert target.tensorrt.covers("11.4")
    assert target.is_jetson == target.name.startswith("jetson-")
    assert all(board.shared == target.is_jetson for board in target.boards)


@every_target
def test_power_modes_are_named_once_and_none_is_faster_than_the_board(target: Target) -> None:
    for board in target.boards:
        assert len({mode.name for mode in board.power_modes}) == len(board.power_modes)
        rates = [mode.bandwidth_bytes_per_s for mode in board.power_modes if mode.bandwidth_bytes_per_s is not None]
        assert rates == sorted(rates, reverse=True)
        assert not rates or rates[0] == board.bandwidth_bytes_per_s
        watts = [mode.watts for mode in board.power_modes]
        assert watts[:1] in ([], [None]), "the first mode is the one without a limit"
        assert watts[1:] == sorted((each for each in watts[1:] if each is not None), reverse=True)


@every_target
def test_no_preset_needs_a_precision_that_the_target_lacks(target: Target) -> None:
    for name in target.presets:
        preset = PRESETS.get(name)
        needed = set()
        if target.compute_capability:
            # The last word of a GPU preset's name is the form of its weights.
            needed.add(name.rpartition("-")[2])
        else:
            needed.add("fp32")
        if preset is not None:
            assert (preset.runtime == ORT_CPU) == (not target.compute_capability)
            matrices = [
                preset.body,
                preset.head,
                preset.embedding,
                *(each.weights for each in (*preset.exemptions, *preset.kept)),
            ]
            needed |= {f"int{matrix.container_bits}" for matrix in matrices if not matrix.is_float}
        assert needed <= set(target.precisions), name


def test_newer_generations_compute_smaller_floats() -> None:
    for target in targets().values():
        if target.compute_capability:
            generation = tuple(map(int, target.compute_capability.split(".")))
            assert ("fp8" in target.precisions) == (generation >= (8, 9))
            assert ("nvfp4" in target.precisions) == (generation >= (10, 0))


def test_the_page_of_the_format_has_an_example_that_is_a_target() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert target_from_text(example, PAGE.name) == targets()["jetson-orin-nano-8g"]
