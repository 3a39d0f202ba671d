import asyncio
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

import grpc
import grpc.aio
import psutil
import pytest

from appliance.bounded_log import LIMIT_BYTES
from appliance.child import Child, Exit
from tests.waiting import until

_STARTS = 200
PIECE_BYTES = 64 << 10
SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
# Starts a grandchild, says its process id, and waits.
PROGRAM = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])
print(child.pid, flush=True)
time.sleep(600)
"""
PARENT = [sys.executable, "-c", PROGRAM]


def _text(log: Path) -> str:
    return log.read_text() if log.exists() else ""


async def _said(log: Path) -> str:
    await until(lambda: _text(log).endswith("\n"))
    return _text(log).strip()


def _has_ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def _until_ended(pid: int) -> None:
    await until(lambda: _has_ended(pid))


@pytest.mark.parametrize(
    ("status", "words"), [(0, "exit status 0"), (3, "exit status 3"), (-9, "ended by SIGKILL"), (-200, "signal 200")]
)
def test_an_end_is_told_in_words(status: int, words: str):
    assert words in str(Exit(status))


def test_output_goes_to_the_log_after_what_is_there(tmp_path: Path):
    async def run() -> Exit:
        child = await Child.start("child", [sys.executable, "-c", "print('words'); raise SystemExit(7)"], log)
        return await child.wait()

    log = tmp_path / "run" / "child.log"
    log.parent.mkdir()
    log.write_text("before\n")
    assert asyncio.run(run()) == Exit(7)
    assert log.read_text() == "before\nwords\n"


def test_the_log_of_a_child_that_talks_without_end_stays_bounded(tmp_path: Path):
    talker = [sys.executable, "-c", "import os\nwhile True: os.write(1, b'words\\n' * 10000)"]
    log, aside = tmp_path / "child.log", tmp_path / "child.log.1"

    async def run() -> None:
        child = await Child.start("child", talker, log)
        for _ in range(2):
            aside.unlink(missing_ok=True)
            await until(aside.exists)
        await child.kill()

    asyncio.run(run())
    assert 0 < log.stat().st_size <= LIMIT_BYTES
    assert LIMIT_BYTES - PIECE_BYTES < aside.stat().st_size <= LIMIT_BYTES


def test_all_that_a_child_said_before_its_end_is_in_the_log(tmp_path: Path):
    talker = [sys.executable, "-c", "import os; os.write(1, b'x' * 3_000_000); os.kill(os.getpid(), 9)"]

    async def run() -> None:
        await (await Child.start("child", talker, tmp_path / "log")).wait()

    asyncio.run(run())
    assert (tmp_path / "log").stat().st_size == 3_000_000


def test_a_process_that_left_the_group_and_holds_the_output_open_does_not_hold_up_the_end(tmp_path: Path):
    sleeper = f"import os, subprocess; print(subprocess.Popen({SLEEPER!r}, start_new_session=True).pid)"

    async def run() -> None:
        await (await Child.start("child", [sys.executable, "-c", sleeper], tmp_path / "log")).wait()

    asyncio.run(run())
    psutil.Process(int((tmp_path / "log").read_text())).kill()


def test_a_full_disk_is_no_error_of_the_child(tmp_path: Path):
    log = tmp_path / "log"
    log.symlink_to("/dev/full")
    talker = [sys.executable, "-c", "import sys; print('words', flush=True); print('more', flush=True)"]

    async def run() -> Exit:
        return await (await Child.start("child", talker, log)).wait()

    assert asyncio.run(run()) == Exit(0)


def test_a_child_that_ignores_the_request_is_ended_with_its_own_children(tmp_path: Path):
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    stubborn = [sys.executable, "-c", deaf + PROGRAM]

    async def run() -> tuple[str, int]:
        child = await Child.start("child", stubborn, tmp_path / "log")
        grandchild = int(await _said(tmp_path / "log"))
        trouble = await child.stop(grace_s=0.1)
        await _until_ended(grandchild)
        return trouble, grandchild

    trouble, grandchild = asyncio.run(run())
    assert "had not ended" in trouble
    assert _has_ended(grandchild)


@pytest.mark.parametrize(("status", "trouble"), [(None, ""), (0, ""), (1, "exit status 1")])
def test_a_child_that_ends_when_asked_to_tells_whether_it_failed_at_that(
    tmp_path: Path, status: int | None, trouble: str
):
    program = "import signal, sys, time\n"
    if status is not None:
        program += f"signal.signal(signal.SIGTERM, lambda *_: sys.exit({status}))\n"
    program += "print('begun', flush=True)\ntime.sleep(600)\n"

    async def run() -> str:
        child = await Child.start("child", [sys.executable, "-c", program], tmp_path / "log")
        await _said(tmp_path / "log")
        return await child.stop(grace_s=60)

    assert asyncio.run(run()) == trouble


def test_a_child_that_crashed_before_is_no_trouble_of_the_stop(tmp_path: Path):
    async def run() -> str:
        child = await Child.start("child", [sys.executable, "-c", "raise SystemExit(3)"], tmp_path / "log")
        await child.wait()
        return await child.stop(grace_s=60)

    assert asyncio.run(run()) == ""


def test_a_child_that_crashes_leaves_no_children_of_its_own(tmp_path: Path):
    async def run() -> None:
        child = await Child.start("child", PARENT, tmp_path / "log")
        grandchild = int(await _said(tmp_path / "log"))
        psutil.Process(child.pid).kill()
        assert await child.wait() == Exit(-signal.SIGKILL)
        await _until_ended(grandchild)

    asyncio.run(run())


def test_the_end_of_a_grandchild_is_noticed(tmp_path: Path):
    async def run() -> None:
        child = await Child.start("child", PARENT, tmp_path / "log")
        grandchild = int(await _said(tmp_path / "log"))
        noticed = asyncio.create_task(child.wait_for_grandchild())
        await asyncio.sleep(0.05)
        assert not noticed.done()
        psutil.Process(grandchild).kill()
        await noticed
        await child.kill()

    asyncio.run(run())


def test_children_end_when_we_are_killed(tmp_path: Path):
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from appliance.child import Child\n"
        "async def main():\n"
        f"    child = await Child.start('child', {SLEEPER!r}, Path(sys.argv[1]))\n"
        "    print(child.pid, flush=True)\n"
        "    await child.wait()\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, tmp_path / "log"], stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        assert not _has_ended(pid)
        parent.kill()
    asyncio.run(_until_ended(pid))


def test_a_program_that_is_not_there_is_an_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        asyncio.run(Child.start("child", [tmp_path / "absent"], tmp_path / "log"))


async def _starts_beside_a_channel(log: Path) -> Counter[str]:
    """How many children end, and how, beside a channel of gRPC that is never idle."""
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()

    async def ask_for_ever() -> None:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            while True:
                with suppress(grpc.aio.AioRpcError):
                    await channel.unary_unary("/no/method")(b"")

    asking = asyncio.create_task(ask_for_ever())
    ends: Counter[str] = Counter()
    for _ in range(_STARTS):
        child = await Child.start("child", ["/bin/true"], log)
        ends[str(await child.wait())] += 1
    asking.cancel()
    await server.stop(None)
    return ends


def test_a_busy_channel_of_grpc_crashes_no_child(tmp_path: Path):
    assert asyncio.run(_starts_beside_a_channel(tmp_path / "log")) == {"exit status 0": _STARTS}
