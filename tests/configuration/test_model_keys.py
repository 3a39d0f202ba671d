"""What each key of a [[serve.model]] changes: for its model alone, and for a missing key the value of [serve] holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import httpx
import pytest

from appliance.config import Config, ModelConfig
from appliance.errors import UsageError
from appliance.gateway.loading.offer import LoadState
from appliance.supervisor.engine_settings import engine_settings
from tests.configuration.rows import row
from tests.configuration.test_engine_keys import ADDRESSES, ConfiguredBox
from tests.gateway.harness import Harness
from tests.refusals import refused
from tests.tiny_artefact import make_tiny_artefact
from tests.waiting import LIMIT_S, wait_until

# Key -> its value for one model, and the engine's setting that it is.
ENGINE_KEYS: dict[str, tuple[object, str]] = {
    "slots": (3, "slots"),
    "max_context_tokens": (77, "max_context_tokens"),
    "cache_bytes": (5_000_000, "cache_bytes"),
    "max_queue_requests": (7, "max_queue"),
    "prefill_chunk_tokens": (48, "prefill_chunk_tokens"),
    "threads": (1, "threads"),
    "speculation": (False, "speculation"),
}
# tests/supervisor/test_choose.py shows target and preset, test_loading.py there on_demand and keep_alive_s, and the box
# below aliases.
ELSEWHERE = {"name", "aliases", "target", "preset", "on_demand", "keep_alive_s"}


def test_every_key_of_a_model_is_tested():
    assert {key.name for key in fields(ModelConfig)} == ENGINE_KEYS.keys() | ELSEWHERE


@pytest.mark.parametrize("key", ENGINE_KEYS)
def test_a_key_of_a_model_is_a_setting_of_its_engine_alone(key: str):
    value, setting = ENGINE_KEYS[key]
    serve = Config.from_text(f'[[serve.model]]\nname = "a"\n{key} = {json.dumps(value)}', "a test").serve
    mine, usual = (getattr(engine_settings(serve.of(name), None), setting) for name in ("a", "b"))
    assert mine == value != usual


def test_a_missing_key_of_a_model_has_the_value_of_all():
    serve = Config.from_text(
        '[serve]\nslots = 5\n[[serve.model]]\nname = "a"\n[[serve.model]]\nname = "b"\nslots = 2', ""
    ).serve
    assert [engine_settings(serve.of(name), None).slots for name in ("a", "b", "c")] == [5, 2, 5]


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ('[serve]\nmodel = "a"', "[[…model]]"),
        ("[[serve.model]]\nslots = 1", "name"),
        ('[[serve.model]]\nname = "A b"', "a model's name"),
        ('[[serve.model]]\nname = "a"\n[[serve.model]]\nname = "a"', "two models"),
        ('[[serve.model]]\nname = "a"\naliases = ["a"]', "alias a"),
        ('[[serve.model]]\nname = "a"\naliases = ["x"]\n[[serve.model]]\nname = "b"\naliases = ["x"]', "alias x"),
        ('[[serve.model]]\nname = "a"\naliases = ["x", "x"]', "alias x"),
        ('[[serve.model]]\nname = "a"\naliases = ["b"]\n[[serve.model]]\nname = "b"', "alias b"),
        ('[[serve.model]]\nname = "a"\naliases = ["../x"]', "aliases"),
        ('[[serve.model]]\nname = "a"\ndrain_s = 1', "drain_s"),
    ],
)
def test_a_wrong_table_is_refused(text: str, fact: str):
    with refused(UsageError, fact):
        Config.from_text(text, "a test")


def test_the_gateway_gets_the_tables():
    config = Config.from_text('[[serve.model]]\nname = "a"\naliases = ["gpt-4o-mini", "x/y:3b"]\nslots = 2', "a test")
    assert Config.from_json(config.to_json("serve"), "a test") == config
    assert config.serve.aliases == {"gpt-4o-mini": "a", "x/y:3b": "a"}


@row("serve.load_timeout_s")
def test_a_request_waits_so_long_for_its_model(open_box: Callable[[str], Harness]):
    box = open_box('[serve]\nload_timeout_s = 1\n[[serve.model]]\nname = "tiny-talker"\non_demand = true')
    box.triton.unloaded.add("tiny-talker")
    # The gateway has seen that the model is not loaded.
    wait_until(lambda: box.gateway._services.loaded.state("tiny-talker") is LoadState.UNLOADED)
    box.triton.never_loads = True
    answer = httpx.post(f"{box.url}/v1/completions", json={"model": "tiny-talker", "prompt": "a"}, timeout=LIMIT_S)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
    assert box.triton.loaded == ["tiny-talker"]


@pytest.mark.triton
def test_a_box_serves_the_models_of_its_configuration(tmp_path: Path):
    for name in ("first", "second"):
        make_tiny_artefact(tmp_path / "exports" / name / "cpu-balanced", tmp_path / f"scratch-{name}", name)
    tables = '[[serve.model]]\nname = "second"\naliases = ["gpt-4o-mini"]\nslots = 3\n[[serve.model]]\nname = "first"\n'
    with ConfiguredBox(tmp_path, f"[serve]\nslots = 2\ncache_bytes = 50_000_000\n{ADDRESSES}\n{tables}") as box:
        assert box.state.names == ("second", "first")
        for asked, spoke in (("first", "first"), ("second", "second"), ("gpt-4o-mini", "second")):
            with box.completion(model=asked, max_tokens=1) as answer:
                assert json.load(answer)["model"] == spoke
        listed = httpx.get(f"{box.state.url}/v1/models", timeout=LIMIT_S).json()["data"]
        cards = {card["id"]: card for card in listed}
        assert {name: card["root"] for name, card in cards.items()} == {
            "second": "second",
            "first": "first",
            "gpt-4o-mini": "second",
        }
        assert all(card["ready"] and len(card["artefact_sha256"]) == 64 for card in cards.values())
        digests = {model.name: model.artefact_sha256 for model in box.state.models}
        assert {name: cards[name]["artefact_sha256"] for name in digests} == digests
