"""What tests of several packages share."""

from __future__ import annotations

import pytest

from appliance.layout import Layout
from tests.real_model import prepared_layout


@pytest.fixture(scope="session")
def real_box() -> Layout:
    """A box with the real model pulled and exported; for tests marked `model` alone."""
    return prepared_layout()
