"""The grammar host: a program that indexes the model's tokens once, then forks one process per grammar.

The engine starts this program with a control socket. Each message on the control socket contains the socket of a new
grammar, and the host forks one process for it. If the engine closes a grammar's socket, the host ends its process. If
a process ends, the host sends its exit status to the engine. If the engine ends, the host and all its processes end.
The host itself compiles nothing.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from appliance.artefact.tokenizer import load_tokenizer
from appliance.child import dies_with
from appliance.engine.grammar import Grammars
from appliance.engine.grammar_process import serve
from appliance.engine.grammar_wire import Kind, Reply, number_to_bytes
from appliance.engine.tokenizer import Tokenizer
from appliance.heap import give_back_free_memory
from appliance.inference.structured_output import ConstraintKind, StructuredOutput

_PERIOD_S = 0.05
# A process that used more than this share of a period gets a lower priority, so that it does not slow the model.
_BUSY_SHARE = 0.5
_NICENESS = 10
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class _Process:
    """A grammar's process and the host's copy of its socket: to send the exit status and to detect the engine's end."""

    pid: int
    session: socket.socket
    cpu_s: float = 0.0
    looked_at: float = 0.0
    is_nice: bool = False


class _Host:
    def __init__(self, control: socket.socket, grammars: Grammars) -> None:
        self._control = control
        self._grammars = grammars
        self._pid = os.getpid()
        self._processes: dict[int, _Process] = {}
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)

    def run(self) -> None:
        """Serve until the engine closes the control socket."""
        while True:
            ready = dict(self._poll.poll(_PERIOD_S * 1000 if self._processes else None))
            control = ready.pop(self._control.fileno(), 0)
            for number in ready:
                with suppress(ProcessLookupError):
                    os.kill(self._processes[number].pid, signal.SIGKILL)
            self._reap()
            for process in self._processes.values():
                _put_behind_if_busy(process)
            if control and not self._start():
                return

    def _start(self) -> bool:
        """Fork one process. Return False if the engine has closed the control socket."""
        message, descriptors, _, _ = socket.recv_fds(self._control, 64, 2)
        if not message:
            return False
        session, text = socket.socket(fileno=descriptors[0]), descriptors[1]
        pid = os.fork()
        if pid == 0:
            self._become_process(session, ConstraintKind(message.decode()), text)
        os.close(text)
        self._processes[session.fileno()] = _Process(pid, session, looked_at=time.monotonic())
        self._poll.register(session, 0)  # a poll always reports a hang-up
        return True

    def _become_process(self, session: socket.socket, kind: ConstraintKind, text: int) -> NoReturn:
        status = 1
        try:
            dies_with(self._pid)()
            self._control.close()
            for other in self._processes.values():
                other.session.close()
            with os.fdopen(text, "rb") as stream:
                stream.seek(0)
                wanted = StructuredOutput(kind, stream.read().decode())
            serve(session, wanted, self._grammars)
            status = 0
        except OSError:
            status = 0  # the engine has closed the socket
        finally:
            os._exit(status)

    def _reap(self) -> None:
        for number, process in tuple(self._processes.items()):
            pid, status = os.waitpid(process.pid, os.WNOHANG)
            if not pid:
                continue
            del self._processes[number]
            self._poll.unregister(process.session)
            ended = Reply(Kind.ENDED, number_to_bytes(os.waitstatus_to_exitcode(status)))
            with suppress(OSError):
                process.session.send(ended.to_bytes(), socket.MSG_DONTWAIT)
            process.session.close()


def _put_behind_if_busy(process: _Process) -> None:
    now = time.monotonic()
    if process.is_nice or now - process.looked_at < _PERIOD_S:
        return
    with suppress(OSError):
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        cpu_s = (int(fields[11]) + int(fields[12])) / _TICKS
        if cpu_s - process.cpu_s > _BUSY_SHARE * (now - process.looked_at):
            os.setpriority(os.PRIO_PROCESS, process.pid, _NICENESS)
            process.is_nice = True
        process.cpu_s, process.looked_at = cpu_s, now


def main(words: list[str]) -> None:
    """Run as `<control descriptor> <tokenizer.json> <tokens> <end token>...`."""
    control = socket.socket(fileno=int(words[0]))
    # Ctrl-C at a terminal signals the whole process group. The host ignores it and ends when the engine ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    tokenizer = Tokenizer(load_tokenizer(Path(words[1]).read_bytes()))
    grammars = Grammars(tokenizer, int(words[2]), [int(word) for word in words[3:]])
    give_back_free_memory()
    gc.collect()
    # Keep the garbage collector from writing to existing objects: forked processes then share their memory pages.
    gc.freeze()
    _Host(control, grammars).run()


if __name__ == "__main__":
    main(sys.argv[1:])
