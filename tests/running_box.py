"""A real box for tests: `appliance up` over an artefact with random weights, on ports the kernel chose."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from appliance.supervisor import state
from appliance.supervisor.state import Phase, UpState
from appliance.triton import sockets
from tests.tiny_artefact import TINY, make_tiny_artefact
from tests.waiting import LIMIT_S, wait_until

CONFIGURATION = """\
[serve]
http_address = "127.0.0.1:0"
grpc_address = "127.0.0.1:0"
metrics_address = "127.0.0.1:0"
slots = 4
cache_bytes = 200_000_000
drain_s = {drain_s}
"""


class RunningBox:
    """One root folder with an exported model (made where there is none), and `appliance up` on it in the block."""

    def __init__(self, root: Path, words: Sequence[str] = (), *, drain_s: float = 60.0) -> None:
        self.root = root
        self._words = words
        if not (root / "artefacts").exists() and not (root / "exports").exists():
            make_tiny_artefact(root / "exports" / TINY / "cpu-balanced", root / "scratch")
        (root / "appliance.toml").write_text(CONFIGURATION.format(drain_s=drain_s))
        self.output = root / "up.out"

    def __enter__(self) -> RunningBox:  # noqa: PYI034 - Self came with Python 3.11
        self.start()
        with contextlib.ExitStack() as unless_serving:
            unless_serving.callback(self._end)
            wait_until(lambda: self.is_serving or self.process.poll() is not None, told=lambda: self._said)
            assert self.process.poll() is None, self._said
            unless_serving.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        if self.process.poll() is None:
            # Two of them: do not wait for what a test left running.
            self.process.send_signal(signal.SIGTERM)
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"the box did not stop: {self._said}") from None

    def start(self) -> None:
        """Start `appliance up` and return at once."""
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(self.command("up", *self._words), stdout=output, stderr=output)

    @property
    def _said(self) -> str:
        return self.output.read_text() if self.output.is_file() else f"ended with {self.process.poll()}"

    def command(self, *words: str) -> list[str]:
        """The command line of `appliance` on this root."""
        return [sys.executable, "-m", "appliance.cli", "--root", str(self.root), *words]

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run another `appliance` on this root."""
        return subprocess.run(
            self.command(*words), capture_output=True, text=True, errors="surrogateescape", check=False
        )

    @property
    def state(self) -> UpState:
        """What the box says about itself."""
        found = state.read(self.root / "run")
        assert found, "the box does not run"
        return found

    @property
    def triton(self) -> str:
        """Triton itself, past the gateway, for a gRPC client that runs as the user of the box."""
        return f"unix:{self.root}/run/triton/{sockets.GRPC}"

    @property
    def is_serving(self) -> bool:
        found = state.read(self.root / "run")
        return bool(found and found.phase is Phase.SERVING)

    def has_restarted(self, *, triton: int = 0, gateway: int = 0) -> bool:
        """Whether it serves, having started its parts again so often: one look, the state changes between two."""
        found = state.read(self.root / "run")
        counts = (found.triton_restarts, found.gateway_restarts) if found and found.phase is Phase.SERVING else None
        return counts == (triton, gateway)

    @property
    def status(self) -> dict[str, Any]:
        """`appliance status --json`."""
        return json.loads(self.call("status", "--json").stdout)  # type: ignore[no-any-return]

    @property
    def slots_busy(self) -> int | None:
        """How many sequences run; None while the figures cannot be had."""
        return self.status["engine"].get("slots_busy")  # type: ignore[no-any-return]

    def completion(self, **parameters: Any) -> Any:
        """Open a completion over HTTP; the caller reads and closes it."""
        return self._post("completions", {"prompt": "Once", **parameters})

    def chat(self, **parameters: Any) -> Any:
        """The same for a chat completion."""
        return self._post("chat/completions", {"messages": [{"role": "user", "content": "Once"}], **parameters})

    def _post(self, path: str, parameters: dict[str, Any]) -> Any:
        body = {"model": TINY, "temperature": 0, **parameters}
        request = urllib.request.Request(
            f"http://{self.state.http}/v1/{path}",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        return urllib.request.urlopen(request, timeout=LIMIT_S)  # noqa: S310 - it is our own box

    def kill(self, pid: int | None) -> None:
        """SIGKILL."""
        assert pid
        os.kill(pid, signal.SIGKILL)
