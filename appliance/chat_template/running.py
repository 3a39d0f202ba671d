"""The caller's side of one template process: starts it, sends it requests, ends it."""

from __future__ import annotations

import dataclasses
import json
import pickle
import socket
import subprocess
import sys
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from appliance.chat_template import budget, frames
from appliance.chat_template.frames import DONE, REFUSED, TOO_LARGE
from appliance.errors import PromptTooLongError, RequestError, UnsupportedError

_MIB = 1 << 20
_COSTLY = f"more than {budget.CPU_S:g} s of CPU time or {budget.MEMORY_BYTES // _MIB} MiB of memory"


@dataclass(frozen=True)
class TemplateSource:
    """A template as published, with the BOS and EOS tokens that it may write."""

    source: str
    bos_token: str
    eos_token: str


class RunningTemplate:
    """A started process whose template is compiled.

    Attributes:
        connection: non-blocking socket to the process.
        variables: names of the variables that the template reads.
        is_usable: whether the process can take the next request: it has answered the last request and has not ended.
    """

    def __init__(self, template: TemplateSource) -> None:
        """Start the process and compile the template. This blocks too long for an event loop.

        Raises:
            UnsupportedError: the template cannot be compiled, or compiling it exceeds the budget.
        """
        self.connection, theirs = socket.socketpair()
        # -I: Python ignores the current folder and the PYTHON* variables.
        command = [sys.executable, "-I", "-m", "appliance.chat_template.worker", str(theirs.fileno())]
        with theirs:
            self._process = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        # The process ends when its socket closes, so also when this process ends for any reason.
        self.end = weakref.finalize(self, _end, self._process, self.connection)
        try:
            answer = self._ask(dataclasses.asdict(template))
        except RequestError as error:
            self.end()
            raise UnsupportedError(error.message) from error
        self.connection.setblocking(False)
        self.variables: frozenset[str] = frozenset(json.loads(answer))

    @property
    def is_alive(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    async def render(self, asked: Mapping[str, Any]) -> str:
        """Return the prompt's text. `asked` contains the arguments of `ChatTemplate.render` and `max_characters`.

        Raises:
            RequestError: the template does not accept the conversation, or rendering exceeds the budget.
            PromptTooLongError: the text has more than `max_characters` characters.
        """
        self.is_usable = False
        return self._read(await frames.exchange(self.connection, pickle.dumps(asked)))

    def render_now(self, asked: Mapping[str, Any]) -> str:
        """Render as `render` does, but block. For callers without an event loop."""
        self.connection.setblocking(True)
        return self._ask(asked)

    def _ask(self, asked: Mapping[str, Any]) -> str:
        self.is_usable = False
        try:
            frames.send(self.connection, pickle.dumps(asked))
        except OSError:
            return self._read(None)
        return self._read(frames.receive(self.connection))

    def _read(self, answer: bytes | None) -> str:
        if answer is None:
            costly = budget.exceeded(self._process.wait())
            raise _too_costly() if costly else RequestError("the model's chat template crashed", param="messages")
        self.is_usable = True
        kind, text = answer[:1], answer[1:].decode()
        if kind == DONE:
            return text
        if kind == REFUSED:
            raise RequestError(text, param="messages")
        if kind == TOO_LARGE and text:
            raise PromptTooLongError(
                f"prompt is too long: it has {text} characters, which exceed the model's context", param="messages"
            )
        raise _too_costly()


def _too_costly() -> RequestError:
    return RequestError(
        f"the model's chat template needs {_COSTLY} for this conversation",
        hint="send a shorter conversation; if all conversations fail, the model's template is faulty",
        param="messages",
    )


def _end(process: subprocess.Popen[bytes], connection: socket.socket) -> None:
    connection.close()
    process.kill()
    process.wait()
