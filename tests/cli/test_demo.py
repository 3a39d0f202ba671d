"""`make demo` refuses a place where it cannot serve before it does any work, and serves, asks and stops elsewhere."""

import dataclasses
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.cli import demo
from appliance.cli.box import Box
from appliance.cli.rim import run
from appliance.errors import PortTakenError, UsageError
from appliance.supervisor import box_lock, state
from appliance.supervisor.state import Phase
from tests.gateway.keys import Keys
from tests.refusals import refused
from tests.running_box import CONFIGURATION
from tests.supervisor.states import STATE
from tests.tiny_artefact import TINY, make_tiny_artefact

# In no catalogue: without a refusal, the first command fails with 3.
UNKNOWN = "no-such-model"
SETTINGS = CONFIGURATION.format(drain_s=1)


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    """A box whose addresses are free, for this process and for those that it starts."""
    monkeypatch.setenv("APPLIANCE_ROOT", str(tmp_path))
    (tmp_path / "appliance.toml").write_text(SETTINGS)
    return Box.from_environment(None)


def _demo() -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "appliance.cli.demo", UNKNOWN], capture_output=True, text=True, check=False
    )


def test_where_nothing_is_in_the_way_the_first_command_runs(box: Box):
    demo.check_can_serve(box)
    assert _demo().returncode == 3


def test_a_running_box_is_named_before_anything_is_done(box: Box):
    state.write(box.layout.run, STATE)
    before = set(box.layout.root.rglob("*"))
    told = _demo()
    assert told.returncode == 2
    error, hint = told.stderr.splitlines()
    assert all(fact in error for fact in ("tiny", STATE.url, str(STATE.pid)))
    assert "appliance chat" in hint
    assert not told.stdout
    assert set(box.layout.root.rglob("*")) == before


def test_a_box_that_is_still_starting_is_in_the_way_too(box: Box):
    state.write(box.layout.run, dataclasses.replace(STATE, phase=Phase.STARTING))
    with refused(UsageError, "tiny"):
        demo.check_can_serve(box)


def test_a_box_whose_clients_need_keys_is_refused(box: Box):
    Keys(box.layout.keys).make()
    with refused(UsageError, "API key", "APPLIANCE_ROOT"):
        demo.check_can_serve(box)


def test_a_box_that_requires_keys_and_has_none_is_refused(box: Box):
    box.layout.config_file.write_text(SETTINGS + "[access]\nrequire_keys = true\n")
    with refused(UsageError, "API key", "APPLIANCE_ROOT"):
        demo.check_can_serve(box)


def test_a_box_with_tls_is_refused(box: Box):
    assert run(["tls", "init", "localhost"]) == 0
    with refused(UsageError, "TLS", "APPLIANCE_ROOT"):
        demo.check_can_serve(box)


@pytest.mark.parametrize("key", ["http_address", "grpc_address", "metrics_address"])
def test_an_address_that_another_program_has_is_refused_with_the_key_to_set(box: Box, key: str):
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        box.layout.config_file.write_text(SETTINGS.replace(f'{key} = "127.0.0.1:0"', f'{key} = "{taken}"'))
        with refused(PortTakenError, taken, key):
            demo.check_can_serve(box)


def test_a_box_that_was_started_since_the_check_is_not_asked(box: Box, capfd: pytest.CaptureFixture[str]):
    with box_lock.hold(box.layout.run):
        state.write(box.layout.run, STATE)
        assert demo.serve_and_ask(box, [TINY], demo._ask) == 2
    assert demo.PROMPT not in capfd.readouterr().out


@pytest.mark.triton
def test_it_serves_asks_prints_how_to_go_on_and_stops(box: Box, capfd: pytest.CaptureFixture[str]):
    make_tiny_artefact(box.layout.exports / TINY / "cpu-balanced", box.layout.root / "scratch")
    assert demo.serve_and_ask(box, [TINY], demo._ask) == 0
    out = capfd.readouterr().out
    assert f"appliance up {TINY}" in out
    assert 'api_key="none"' in out
    assert state.read(box.layout.run) is None
