"""A target file is read strictly: what is unknown, missing or of a wrong type is refused by file and key."""

from __future__ import annotations

import pytest

from appliance.errors import UnknownModelError, UsageError
from appliance.targets import Board, PlanProfile, PowerMode, VersionRange, fitting, get
from appliance.targets.load import target_from_text

TEXT = """
name = "box"
title = "a box"
compute_capability = "8.7"
precisions = ["bf16", "int4"]
presets = ["bf16", "int4"]
cuda = { least = "13.0", below = "14" }
jetpack = { least = "7.2" }
profile = { slots = 4, context_tokens = 2048, chunk_tokens = 512 }

[[boards]]
name = "Box 8GB"
memory_bytes = 8_000_000_000
shared = true
bandwidth_bytes_per_s = 102e9
source = "its datasheet"
power_modes = [{ name = "MAXN", bandwidth_bytes_per_s = 102e9 }, { name = "15W", watts = 15 }]
"""


def test_a_whole_file_becomes_values() -> None:
    target = target_from_text(TEXT, "box.toml")
    assert target.default_preset == "bf16"
    assert target.is_jetson
    assert target.cuda == VersionRange("13.0", "14")
    assert target.tensorrt is None
    assert target.profile == PlanProfile(slots=4, context_tokens=2048, chunk_tokens=512)
    modes = (PowerMode("MAXN", bandwidth_bytes_per_s=102e9), PowerMode("15W", watts=15))
    assert target.boards == (Board("Box 8GB", 8 * 10**9, True, 102e9, "its datasheet", modes),)


def test_whole_numbers_are_rates_too() -> None:
    assert target_from_text(TEXT.replace("102e9", "102"), "box.toml").boards[0].bandwidth_bytes_per_s == 102


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        # Unknown keys, at each depth.
        ("title = ", "colour = 'red'\ntitle = ", "colour: Unexpected keyword argument"),
        ("shared = true", "shared = true\nprice = 3", "boards.0.price: Unexpected"),
        ('name = "15W",', 'name = "15W", volts = 5,', "boards.0.power_modes.1.volts: Unexpected"),
        ('least = "7.2"', 'leest = "7.2"', "jetpack.leest: Unexpected"),
        ("slots = 4", "slots = 4, lots = 4", "profile.lots: Unexpected"),
        # Missing keys.
        ('title = "a box"', "", "title: Field required"),
        ('precisions = ["bf16", "int4"]', "", "precisions: Field required"),
        ("shared = true", "", "boards.0.shared: Field required"),
        ("slots = 4, ", "", "profile.slots: Field required"),
        # Wrong types and values.
        ("8_000_000_000", '"8000000000"', "boards.0.memory_bytes: Input should be a valid integer"),
        ("8_000_000_000", "8e9", "boards.0.memory_bytes: Input should be a valid integer"),
        ("8_000_000_000", "0", "boards.0.memory_bytes: Input should be greater than 0"),
        ("shared = true", "shared = 1", "boards.0.shared: Input should be a valid boolean"),
        ("102e9", "nan", "boards.0.bandwidth_bytes_per_s: Input should be a finite number"),
        ("watts = 15", "watts = -1", "boards.0.power_modes.1.watts: Input should be greater than 0"),
        ("slots = 4", "slots = 0", "profile.slots: Input should be greater than 0"),
        ('"8.7"', "8.7", "compute_capability: Input should be a valid string"),
        ('"7.2"', '"7.x"', "jetpack.least: String should match pattern"),
        ('"bf16", "int4"]\npresets', '"bf16", "int2"]\npresets', "precisions.1: Input should be 'fp32', 'bf16'"),
        ('presets = ["bf16", "int4"]', "presets = []", "presets: Tuple should have at least 1 item"),
        ('name = "box"', 'name = ""', "name: String should have at least 1 character"),
        ('title = "a box"', "title = 2026-01-01", "has a value of an unsupported type"),
        # Not TOML.
        ("[[boards]]", "[[boards", "box.toml is not TOML"),
    ],
)
def test_what_is_wrong_is_named(old: str, new: str, message: str) -> None:
    assert old in TEXT
    with pytest.raises(UsageError) as caught:
        target_from_text(TEXT.replace(old, new, 1), "box.toml")
    assert caught.value.message.startswith("box.toml")
    assert message in caught.value.message


def test_an_unknown_target_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownModelError, match="no target 'tpu'") as caught:
        get("tpu")
    assert "cpu, cuda-sm100" in caught.value.hint
    assert caught.value.exit_code == 3


def test_a_target_gives_its_default_preset_and_refuses_strange_ones() -> None:
    target = get("cpu")
    assert target.preset(None) == "balanced"
    assert target.preset("compact") == "compact"
    with pytest.raises(UnknownModelError, match="cpu has no preset 'bf16'") as caught:
        target.preset("bf16")
    assert "balanced, precise" in caught.value.hint


def test_a_gpu_is_looked_for_among_modules_or_among_the_others():
    assert [target.name for target in fitting("8.7", is_jetson=True)] == ["jetson-orin-agx-64g", "jetson-orin-nano-8g"]
    assert fitting("8.7", is_jetson=False) == ()
    assert [target.name for target in fitting("9.0", is_jetson=False)] == ["cuda-sm90"]
