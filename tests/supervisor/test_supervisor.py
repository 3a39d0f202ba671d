"""The supervisor over services that run nothing: what it does, in which order, and what it says."""

import asyncio
import errno
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from appliance.errors import EngineError, ForcedEndError, PortTakenError
from appliance.supervisor import state
from appliance.supervisor.state import Phase, UpState
from appliance.supervisor.supervisor import INTERRUPTED, Part, Supervisor
from tests.supervisor.states import STATE
from tests.waiting import until


class Service:
    """Runs nothing; `crash` ends it. What happens to it is written into a log that all share."""

    def __init__(self, name: str, log: list[str], *, failures: int = 0, refusal: Exception | None = None):
        self.name = name
        self.log = log
        self.failures = failures
        self.refusal = refusal
        self.starts = 0
        self.pid: int | None = None
        self.stopping: asyncio.Event | None = None
        self.alive = True
        self.hold_start = False
        self.trouble = ""

    def check(self) -> None:
        if self.refusal:
            raise self.refusal

    async def start(self) -> None:
        if self.hold_start:
            await asyncio.Event().wait()
        self.starts += 1
        if self.failures:
            self.failures -= 1
            raise EngineError(f"{self.name} does not start")
        self.end: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.pid = 1000 + self.starts
        self.log.append(f"{self.name} started")

    def crash(self) -> None:
        self.pid = None
        self.end.set_result("ended by SIGKILL")

    async def wait(self) -> str:
        return await asyncio.shield(self.end)

    async def stop(self) -> str:
        self.log.append(f"{self.name} asked to stop")
        if self.stopping:
            await self.stopping.wait()
        self.pid = None
        self.log.append(f"{self.name} stopped")
        return self.trouble

    async def kill(self) -> None:
        if self.pid is not None:
            self.log.append(f"{self.name} killed")
        self.pid = None

    async def is_alive(self) -> bool:
        return self.alive


class Box:
    """A supervisor with two such services, run by a test's script."""

    def __init__(self, run: Path):
        self.log: list[str] = []
        self.said: list[str] = []
        self.say: Callable[[str], None] = self.said.append
        self.run_folder = run
        self.triton = Service("triton", self.log)
        self.gateway = Service("gateway", self.log)

    def run(self, script: Callable[["Box"], object] | None = None) -> int:
        async def run() -> int:
            supervisor = Supervisor(
                self.run_folder,
                lambda: STATE,
                Part("Triton", self.triton, self.triton.is_alive),
                Part("the gateway", self.gateway, self.gateway.is_alive),
                self.gateway.is_alive,
                self.say,
            )
            playing = asyncio.create_task(script(self)) if script else None  # type: ignore[arg-type]
            try:
                return await supervisor.run(lambda: self.log.append("ready"))
            finally:
                if playing:
                    await playing

        return asyncio.run(run())

    @property
    def phase(self) -> Phase | None:
        found = state.read(self.run_folder)
        return found.phase if found else None


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def _interrupt(number: signal.Signals = signal.SIGTERM) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_drains_the_gateway_before_triton(box: Box, number: signal.Signals):
    async def script(box: Box) -> None:
        await until(lambda: "ready" in box.log)
        assert box.phase is Phase.SERVING
        _interrupt(number)

    assert box.run(script) == 0
    assert box.log[2:] == [
        "ready",
        "gateway asked to stop",
        "gateway stopped",
        "triton asked to stop",
        "triton stopped",
    ]
    assert state.read(box.run_folder) is None


@pytest.fixture
def nohup() -> Iterator[None]:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("nohup")
def test_under_nohup_the_end_of_the_terminal_ends_nothing(box: Box):
    async def script(box: Box) -> None:
        await until(lambda: "ready" in box.log)
        _interrupt(signal.SIGHUP)
        box.gateway.crash()
        await until(lambda: box.gateway.starts == 2 and box.phase is Phase.SERVING)
        _interrupt()

    assert box.run(script) == 0


def test_a_second_signal_ends_both_at_once(box: Box):
    async def script(box: Box) -> None:
        box.gateway.stopping = asyncio.Event()
        await until(lambda: "ready" in box.log)
        _interrupt()
        await until(lambda: "gateway asked to stop" in box.log)
        assert box.phase is Phase.DRAINING
        _interrupt()

    assert box.run(script) == INTERRUPTED
    assert box.log[-2:] == ["gateway killed", "triton killed"]


@pytest.mark.parametrize("name", ["triton", "gateway"])
def test_a_crashed_service_is_started_again_and_said_so(box: Box, name: str):
    async def script(box: Box) -> None:
        service = getattr(box, name)
        await until(lambda: "ready" in box.log)
        service.crash()
        await until(lambda: service.starts == 2 and box.phase is Phase.SERVING)
        found = state.read(box.run_folder)
        assert found
        assert getattr(found, f"{name}_restarts") == 1
        assert getattr(found, f"{name}_pid") == service.pid
        _interrupt()

    assert box.run(script) == 0
    assert any("SIGKILL" in line for line in box.said)
    assert any("is back" in line for line in box.said)


def test_a_signal_ends_the_box_though_a_part_has_just_come_back_and_a_cancellation_was_lost(box: Box):
    asked = []

    async def is_ready() -> bool:
        if box.triton.starts > 1:
            asked.append(True)
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
        return True

    async def script(box: Box) -> None:
        await until(lambda: "ready" in box.log)
        box.triton.crash()
        await until(lambda: asked)
        _interrupt()

    box.gateway.is_alive = is_ready  # type: ignore[method-assign]
    assert box.run(script) == 0
    assert "triton stopped" in box.log


def test_a_restart_that_fails_is_tried_again_with_back_off(box: Box):
    async def script(box: Box) -> None:
        await until(lambda: "ready" in box.log)
        box.triton.failures = 1
        box.triton.crash()
        await until(lambda: box.triton.starts == 3)
        await until(lambda: box.phase is Phase.SERVING)
        _interrupt()

    assert box.run(script) == 0
    assert any("triton does not start" in line and "1 s" in line for line in box.said)


def test_a_service_that_hangs_is_killed_and_started_again(box: Box):
    # The watchdog asks as often as it does on a box: some seconds pass.
    async def script(box: Box) -> None:
        await until(lambda: "ready" in box.log)
        box.triton.alive = False
        await until(lambda: "triton killed" in box.log)
        box.triton.alive = True
        await until(lambda: box.triton.starts == 2)
        _interrupt()

    assert box.run(script) == 0
    assert any("did not answer" in line for line in box.said)


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Fills the disk of the state file, and frees it."""
    write, full = state.write, [False]

    def written(run: Path, what: UpState) -> None:
        if full[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(run, what)

    monkeypatch.setattr(state, "write", written)
    monkeypatch.setattr("appliance.supervisor.supervisor._NOTE_S", 0.01)
    return lambda is_full: full.__setitem__(0, is_full)


def test_on_a_full_disk_and_without_a_reader_crashed_services_are_started_again_and_the_drain_is_in_order(
    box: Box, full_disk: Callable[[bool], None]
):
    def say(_line: str) -> None:
        raise BrokenPipeError

    box.say = say

    async def script(box: Box) -> None:
        await until(lambda: "ready" in box.log)
        full_disk(True)
        for service in (box.triton, box.gateway):
            service.crash()
        await until(lambda: box.triton.starts == box.gateway.starts == 2)
        full_disk(False)
        await until(lambda: (found := state.read(box.run_folder)) and found.triton_restarts == 1)
        full_disk(True)
        _interrupt()

    assert box.run(script) == 0
    assert box.log[-4:] == ["gateway asked to stop", "gateway stopped", "triton asked to stop", "triton stopped"]


def test_a_full_disk_is_said_once(box: Box, full_disk: Callable[[bool], None]):
    async def script(box: Box) -> None:
        await until(lambda: "ready" in box.log)
        full_disk(True)
        box.triton.crash()
        await until(lambda: box.triton.starts == 2)
        await asyncio.sleep(0.05)
        _interrupt()

    assert box.run(script) == 0
    assert len([line for line in box.said if "cannot be written" in line]) == 1


@pytest.mark.parametrize("name", ["triton", "gateway"])
def test_a_part_that_did_not_stop_when_asked_is_told_after_all_has_ended(box: Box, name: str):
    async def script(box: Box) -> None:
        getattr(box, name).trouble = "exit status 1"
        await until(lambda: "ready" in box.log)
        _interrupt()

    with pytest.raises(ForcedEndError, match="exit status 1"):
        box.run(script)
    assert box.log[-1] == "triton stopped"
    assert state.read(box.run_folder) is None


def test_a_first_start_that_fails_is_reported_and_leaves_nothing(box: Box):
    box.triton.failures = 1
    with pytest.raises(EngineError, match="triton does not start"):
        box.run()
    assert "ready" not in box.log
    assert box.gateway.pid is None
    assert box.triton.starts == 1
    assert not (box.run_folder / state.STATE_NAME).exists()


def test_a_refusal_of_one_keeps_the_other_from_starting(box: Box):
    box.gateway.refusal = PortTakenError("127.0.0.1:8080 is in use")
    with pytest.raises(PortTakenError):
        box.run()
    assert box.log == []


def test_a_signal_while_starting_ends_the_start(box: Box):
    async def script(box: Box) -> None:
        box.triton.hold_start = True
        await until(lambda: "gateway started" in box.log)
        assert box.phase is Phase.STARTING
        _interrupt()

    assert box.run(script) == 0
    assert "ready" not in box.log
    assert box.gateway.pid is None
