"""The library of the operators, as `make setup` built it."""

from __future__ import annotations

import os

import pytest

from appliance.errors import UnsupportedError
from appliance.ops.library import library


@pytest.fixture(scope="session")
def ops_library() -> str:
    """The path of the library; APPLIANCE_OPS_LIBRARY names another build, for example with sanitizers."""
    if path := os.environ.get("APPLIANCE_OPS_LIBRARY"):
        return path
    try:
        return library().path
    except UnsupportedError as error:
        pytest.skip(error.message)
