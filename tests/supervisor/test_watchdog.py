import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from appliance.supervisor.progress import Progress
from appliance.supervisor.watchdog import Watchdog
from tests.waiting import until, wait_until


def _asked_until_told(answers: list[bool], *, is_busy: bool = False) -> int:
    asked = 0

    async def is_alive() -> bool:
        nonlocal asked
        asked += 1
        return answers[asked - 1] if asked <= len(answers) else False

    reason = asyncio.run(Watchdog(is_alive, lambda: is_busy, period_s=0).wait())
    assert "did not answer" in reason
    return asked


def test_several_missed_answers_in_a_row_are_a_hang():
    assert _asked_until_told([]) == 3


def test_an_answer_in_between_starts_the_count_again():
    assert _asked_until_told([False, False, True, False, True]) == 8


def test_a_service_that_computes_has_far_longer_but_not_for_ever():
    assert _asked_until_told([False] * 20 + [True], is_busy=True) == 51


@pytest.fixture
def computing() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        yield process
        process.kill()


def _used_s(process: subprocess.Popen[bytes]) -> float:
    times = psutil.Process(process.pid).cpu_times()
    return times.user + times.system


def test_a_process_that_is_stopped_or_gone_does_not_compute(computing: subprocess.Popen[bytes]):
    pid: int | None = computing.pid
    progress = Progress(lambda: pid)
    assert not progress.is_busy()
    used = _used_s(computing)
    wait_until(lambda: _used_s(computing) > used + 0.2)
    assert progress.is_busy()
    os.kill(computing.pid, signal.SIGSTOP)
    wait_until(lambda: psutil.Process(computing.pid).status() == psutil.STATUS_STOPPED)
    progress.is_busy()
    assert not progress.is_busy()
    pid = None
    assert not progress.is_busy()


def test_a_gateway_that_computes_is_left_alone_until_it_hangs(computing: subprocess.Popen[bytes]):
    asked = 0

    async def is_alive() -> bool:
        nonlocal asked
        asked += 1
        if asked <= 10:
            used = _used_s(computing)
            await until(lambda: _used_s(computing) > used + 0.2)
        if asked == 10:
            os.kill(computing.pid, signal.SIGSTOP)
        return False

    progress = Progress(lambda: computing.pid)
    progress.is_busy()
    asyncio.run(Watchdog(is_alive, progress.is_busy, period_s=0).wait())
    # The first look after the stop may still see what was computed before it.
    assert asked in {13, 14}
