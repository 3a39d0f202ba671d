"""What the configuration means for the engine, with and without a plan of TensorRT."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from appliance.capacity import cache_slots
from appliance.config import ServeConfig
from appliance.engine.budget import scheduler_limits
from appliance.errors import UsageError
from appliance.inference.config import EngineConfig
from appliance.supervisor import engine_settings as engine_settings_module
from appliance.supervisor.engine_settings import beside_text, check_profile, engine_settings
from appliance.supervisor.served_plan import ServedPlan
from appliance.tensorrt.plan_key import Profile
from tests.engine.toy import SHAPE
from tests.refusals import refused
from tests.supervisor.test_choose import MANIFEST

PROFILE = Profile(slots=4, context_tokens=2048, chunk_tokens=512)
PLAN = ServedPlan(Path("/plan"), PROFILE, cache_bytes_per_token=1000)
TINY = dataclasses.replace(MANIFEST, model="tiny", target="cuda-sm89", preset="tensorrt-fp16")


def test_without_a_plan_the_defaults_are_those_of_the_page():
    config = engine_settings(ServeConfig(), None)
    assert config == EngineConfig()
    assert (config.slots, config.prefill_chunk_tokens, config.max_context_tokens) == (8, 256, None)
    assert config.cache_bytes == 1 << 30


def test_every_figure_that_the_configuration_takes_the_engine_takes():
    least = {one.name: 0 if one.name == "max_queue_requests" else 1 for one in dataclasses.fields(ServeConfig)}
    names = ("slots", "max_context_tokens", "cache_bytes", "prefill_chunk_tokens", "max_queue_requests", "threads")
    config = engine_settings(ServeConfig(**{name: least[name] for name in names}), None)
    assert dataclasses.astuple(config)[:4] == (1, 1, 1, 1)
    assert (config.max_queue, config.threads) == (0, 1)


def test_a_plan_bounds_what_nobody_asked_for():
    config = engine_settings(ServeConfig(), PLAN)
    assert (config.slots, config.max_context_tokens, config.prefill_chunk_tokens) == (4, 2048, 512)
    assert config.cache_bytes == 2 * 4 * 2048 * 1000
    assert config.plan == "/plan"


@pytest.mark.parametrize("slots", [1, 4, 8, 16])
def test_all_slots_that_a_plan_was_built_for_run(slots):
    plan = dataclasses.replace(PLAN, profile=dataclasses.replace(PROFILE, slots=slots))
    config = engine_settings(ServeConfig(), plan)
    assert config.slots == slots
    assert scheduler_limits(SHAPE, config).slots == cache_slots(slots)


def test_the_cache_bounds_the_context_too():
    assert engine_settings(ServeConfig(cache_bytes=1_500_000), PLAN).max_context_tokens == 1500


def test_what_was_asked_for_is_kept():
    serve = ServeConfig(slots=2, max_context_tokens=64, prefill_chunk_tokens=32)
    for plan in (None, PLAN):
        config = engine_settings(serve, plan)
        assert (config.slots, config.max_context_tokens, config.prefill_chunk_tokens) == (2, 64, 32)


def test_what_fits_the_profile_passes():
    check_profile(ServeConfig(), PROFILE, TINY)
    check_profile(ServeConfig(slots=4, max_context_tokens=2048, prefill_chunk_tokens=512), PROFILE, TINY)


@pytest.mark.parametrize(
    ("asked", "figures", "options"),
    [
        ({"slots": 5}, ("slots", 5, 4), "--slots 5"),
        ({"max_context_tokens": 2049}, ("max_context_tokens", 2049, 2048), "--context 2049"),
        ({"prefill_chunk_tokens": 513}, ("prefill_chunk_tokens", 513, 512), "--chunk 513"),
        (
            {"slots": 16, "max_context_tokens": 4096},
            ("slots", 16, 4, "max_context_tokens", 4096, 2048),
            "--slots 16 --context 4096",
        ),
    ],
)
def test_more_than_the_profile_is_refused_with_the_command_that_builds_it(
    asked: dict[str, int], figures: tuple[str | int, ...], options: str
):
    with refused(UsageError, "tiny", *figures) as caught:
        check_profile(ServeConfig(**asked), PROFILE, TINY)
    assert [
        name for name in ("slots", "max_context_tokens", "prefill_chunk_tokens") if name in caught.value.message
    ] == [*asked]
    assert caught.value.hint.endswith(
        f"appliance tensorrt build tiny --target cuda-sm89 --preset tensorrt-fp16 {options}"
    )


def test_a_model_beside_one_for_text_leaves_half_of_the_cores(monkeypatch: pytest.MonkeyPatch):
    for cores, threads in ((1, 1), (2, 1), (5, 2), (8, 4)):
        monkeypatch.setattr(engine_settings_module, "physical_cores", lambda cores=cores: cores)
        assert beside_text(EngineConfig()).threads == threads
        assert beside_text(EngineConfig(threads=7)).threads == 7
