"""The engine's side of grammars: starts the grammar host, and exchanges messages with one process per completion.

`open`, `accept` and `is_ready` return immediately, whatever the grammar costs.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from appliance.engine.grammar_budget import why_ended
from appliance.engine.grammar_wire import (
    MAX_MESSAGE_BYTES,
    Kind,
    Reply,
    forbidden_by,
    number_from_bytes,
    number_to_bytes,
)
from appliance.errors import ApplianceError, EngineError, RequestError
from appliance.inference.structured_output import PARAM, StructuredOutput

_END_S = 5.0
_log = logging.getLogger(__name__)


class GrammarHost:
    """The program that forks the grammars' processes. For one thread.

    The first grammar starts the program: to index the tokens takes a second and 140 MB, and many boxes get no grammar.
    The program is restarted if it has ended.
    """

    def __init__(self, tokenizer: Path, tokens: int, end_tokens: Collection[int]) -> None:
        """Set what the program gets; this starts nothing.

        Args:
            tokenizer: path of the model's tokenizer.json.
            tokens: token ids are below this number.
            end_tokens: the model's end tokens, at least one.
        """
        self._words = [str(tokenizer), str(tokens), *map(str, sorted(end_tokens))]
        self._tokens = tokens
        self._running: subprocess.Popen[bytes] | None = None

    def matcher(self, wanted: StructuredOutput) -> RemoteMatcher:
        """A matcher that has not been opened; it uses no resources yet."""
        return RemoteMatcher(self, wanted, self._tokens)

    def connect(self, wanted: StructuredOutput) -> socket.socket:
        """Let the host fork a process that compiles the grammar, and return the engine's end of its socket.

        Raises:
            OSError: no file descriptors or memory are left.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        text = os.memfd_create("grammar")
        try:
            with os.fdopen(os.dup(text), "wb") as stream:
                stream.write(wanted.text.encode("utf-8", "surrogatepass"))
            self._send(wanted.kind.value.encode(), [theirs.fileno(), text])
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
            os.close(text)
        ours.setblocking(False)
        return ours

    def close(self) -> None:
        """End the program and all its processes."""
        if self._running is None:
            return
        self._control.close()
        try:
            self._running.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._running.kill()
            self._running.wait()

    def _start(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [_python(), "-m", "appliance.engine.grammar_host", str(theirs.fileno()), *self._words]
        # A fork does not copy threads, so the libraries must not start any.
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        with theirs:
            self._running = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], env=environment, stdin=subprocess.DEVNULL
            )

    def _send(self, message: bytes, descriptors: list[int]) -> None:
        if self._running is None:
            self._start()
        try:
            socket.send_fds(self._control, [message], descriptors)
        except ConnectionError:
            _log.warning("the process that compiles grammars ended; restarting it")
            self.close()
            self._start()
            socket.send_fds(self._control, [message], descriptors)


class RemoteMatcher:
    """The state of one completion in a grammar that another process computes. See `Constraint`."""

    def __init__(self, host: GrammarHost, wanted: StructuredOutput, tokens: int) -> None:
        self.error: ApplianceError | None = None
        self.is_complete = False
        self._host = host
        self._wanted = wanted
        self._tokens = tokens
        self._socket: socket.socket | None = None
        self._mask: NDArray[np.uint8] | None = None
        self._waits = True

    def fileno(self) -> int:
        """The socket's descriptor, which becomes readable when the answer arrives; -1 before `open`."""
        return -1 if self._socket is None else self._socket.fileno()

    def open(self) -> None:
        """See `Constraint`."""
        try:
            self._socket = self._host.connect(self._wanted)
        except OSError as error:
            self._fail(EngineError(f"the process for the request's grammar could not be started: {error}"))

    @property
    def is_ready(self) -> bool:
        """See `Constraint`."""
        if self._waits and self._socket is not None:
            with suppress(BlockingIOError):
                self._read(_receive(self._socket))
        return not self._waits

    def forbidden(self) -> NDArray[np.bool_]:
        """See `Constraint`."""
        if self._mask is None:
            return np.ones(self._tokens, np.bool_)
        return forbidden_by(self._mask, self._tokens)

    def accept(self, token: int) -> None:
        """See `Constraint`."""
        self._waits = True
        if self._socket is not None:
            # If the process has ended, the next `is_ready` detects it.
            with suppress(OSError):
                self._socket.send(number_to_bytes(token))

    def close(self) -> None:
        """See `Constraint`."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _read(self, message: bytes) -> None:
        self._waits = False
        if not message:
            self._fail(EngineError("the program that compiles grammars ended or did not start", hint="see the log"))
            return
        reply = Reply.from_bytes(message)
        if reply.kind is Kind.OPEN:
            self._mask = np.frombuffer(reply.content, np.uint8)
        elif reply.kind is Kind.COMPLETE:
            self.is_complete = True
        elif reply.kind is Kind.ENDED:
            self._fail(why_ended(number_from_bytes(reply.content), is_compiled=self._mask is not None))
        else:
            self._fail(self._refusal(reply.content.decode()))

    def _refusal(self, reason: str) -> RequestError:
        if self._mask is None:
            return RequestError(reason, param=PARAM)
        return RequestError(
            f"{PARAM} can no longer be enforced: {reason}", hint="use a simpler schema or grammar", param=PARAM
        )

    def _fail(self, error: ApplianceError) -> None:
        self._waits = False
        self._mask = None
        self.error = error


def _receive(connection: socket.socket) -> bytes:
    """The next message; empty if the other side has closed the socket, whether or not it read our last message."""
    try:
        return connection.recv(MAX_MESSAGE_BYTES)
    except ConnectionError:
        return b""


def _python() -> str:
    """The Python interpreter of this process; if a program embeds Python, the `python3` on the path."""
    if Path(sys.executable or "").name.startswith("python"):
        return sys.executable
    return shutil.which("python3") or "python3"
