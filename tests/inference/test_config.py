"""The engine's settings travel to its process as text."""

from __future__ import annotations

import dataclasses

import pytest

from appliance.errors import UsageError
from appliance.inference.config import EngineConfig


@pytest.mark.parametrize(
    "config", [EngineConfig(), EngineConfig(3, 64, 1000, 16, 8, 5, 2, prefix_cache=False, plan="/ü")]
)
def test_settings_arrive_as_they_were_sent(config):
    assert EngineConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize("text", ["", "[]", "1", '{"slot": 1}', '{"slots": 0}', '{"slots": "8"}', "{"])
def test_settings_of_another_version_or_out_of_range_are_refused(text):
    with pytest.raises(UsageError):
        EngineConfig.from_json(text)


def test_every_setting_travels():
    assert EngineConfig().to_json().count('": ') == len(dataclasses.fields(EngineConfig))
