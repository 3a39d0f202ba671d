"""What tests of several packages share."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from appliance.layout import Layout
from tests.real_model import prepared_layout

# The export of the real model takes most of ten minutes on slow cores.
_REAL_MODEL_S = 1200
_CLEANUP_S = 300


class _FailuresAtOnce:
    """Prints a failure when it happens: the summary at the end is lost when a run is cut, as CI cuts it."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Print it."""
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if report.failed and reporter:
            reporter.write_line(f"\nfailed in its {report.when}: {report.nodeid}", red=True)
            reporter.write_line(report.longreprtext)


def pytest_configure(config: pytest.Config) -> None:
    """Take the clock out of property tests, and begin with the signals of a terminal.

    Hypothesis fails an example that takes 200 ms, which says something of the machine alone. nohup, and shells that run
    us in the background, ignore some signals, and what is ignored here the programs that tests start would ignore too.
    HYPOTHESIS_PROFILE=thorough draws ten times as many examples wherever a test does not set their number.
    """
    suite = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("suite", suite)
    settings.register_profile("thorough", suite, max_examples=10 * suite.max_examples)
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_FailuresAtOnce(config))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests with the real model time."""
    for item in items:
        if item.get_closest_marker("model"):
            item.add_marker(pytest.mark.timeout(_REAL_MODEL_S))


def pytest_report_header() -> str | list[str]:
    """Tell what is left out."""
    if os.environ.get("APPLIANCE_TEST_GPU") == "required":
        return "tests that need an NVIDIA GPU: required"
    return [
        "tests that need an NVIDIA GPU (tests/on_gpu): left out; make gpu-test runs them",
        "proofs that take the real model minutes: left out; make proofs runs them",
        "sanitizers and emulators of the operators' C++: left out; make native runs them",
    ]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown() -> Iterator[None]:
    """Limit the cleanup of a test that failed: pytest-timeout stops its alarm at the first failure."""
    if signal.getitimer(signal.ITIMER_REAL)[0]:
        return (yield)
    before = signal.signal(signal.SIGALRM, _end_cleanup)
    signal.setitimer(signal.ITIMER_REAL, _CLEANUP_S)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _end_cleanup(_number: int, _frame: object) -> None:
    pytest.fail(f"the cleanup took longer than {_CLEANUP_S} s")


# Tests that import ONNX Runtime by themselves tell its maker nothing either. tests/test_silence.py goes without this.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"


@pytest.fixture(scope="session")
def real_box(testrun_uid: str) -> Layout:
    """A box with the real model pulled and exported; for tests marked `model` alone."""
    return prepared_layout(run=testrun_uid)
