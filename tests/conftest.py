"""What tests of several packages share."""

from __future__ import annotations

import os
import signal

import pytest

from appliance.layout import Layout
from tests.real_model import prepared_layout


def pytest_configure() -> None:
    """Begin with the signals of a terminal: nohup, and shells that run us in the background, ignore some of them.

    What is ignored here would be ignored by the programs that tests start and interrupt, too.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_report_header() -> str:
    """Say what is left out."""
    if os.environ.get("APPLIANCE_TEST_GPU") == "required":
        return "tests that need an NVIDIA GPU: required"
    return "tests that need an NVIDIA GPU (tests/on_gpu): left out; make gpu-test runs them"


@pytest.fixture(scope="session")
def real_box() -> Layout:
    """A box with the real model pulled and exported; for tests marked `model` alone."""
    return prepared_layout()
