"""No key of the configuration is without a test of what it changes, and no test is of a key that is gone."""

from __future__ import annotations

from dataclasses import fields

from appliance.config import Config
from tests.configuration import (
    test_access_keys,
    test_engine_keys,
    test_gateway_keys,
    test_limits_keys,
    test_model_keys,
)
from tests.configuration.rows import ROWS

# Not of the engine nor of the gateway: tests/sources/test_pip_settings.py.
ELSEWHERE = {"sources.index_url"}


def test_every_key_has_its_row():
    keys = {
        f"{section.name}.{key.name}" for section in fields(Config) for key in fields(getattr(Config(), section.name))
    }
    assert set(ROWS) == keys - ELSEWHERE
    assert {test.rpartition(".")[0] for test in ROWS.values()} == {
        test_access_keys.__name__,
        test_engine_keys.__name__,
        test_gateway_keys.__name__,
        test_limits_keys.__name__,
        test_model_keys.__name__,
    }
