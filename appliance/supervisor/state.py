"""What a running box says about itself in `run/up.json`, and the lock that keeps a second one out.

The lock decides who runs; the file is for readers, and one that a dead process left is recognised.
"""

from __future__ import annotations

import dataclasses
import enum
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from appliance import durable
from appliance.errors import UsageError
from appliance.running_process import RunningProcess, file_id

STATE_NAME = "up.json"
_LOCK_NAME = "up.lock"
_SCHEMA = 2


class Phase(enum.Enum):
    """What the supervisor is doing."""

    STARTING = "starting"
    SERVING = "serving"
    RESTARTING = "restarting"
    DRAINING = "draining"


@dataclass(frozen=True)
class UpState:
    """A running box.

    Attributes:
        phase: see Phase.
        supervisor: which process that is.
        model, target, preset: what is served.
        artefact: its folder.
        artefact_sha256: digest of its manifest.
        http, grpc, metrics: the gateway's addresses.
        tls: whether it speaks TLS there.
        triton_http: where the gateway serves Triton's own HTTP; None while it does not.
        triton_version: "2.51.0"; None until Triton said it.
        triton_origin: which installation it is.
        triton_warning: why it is unfit for production, or an empty string.
        triton_pid, gateway_pid: the children; None while one does not run.
        triton_restarts, gateway_restarts: how often each was started again.
        run_folder: which folder the file is in, filled in by `write`: in a copied root it does not hold.
    """

    phase: Phase
    supervisor: RunningProcess
    model: str
    target: str
    preset: str
    artefact: str
    artefact_sha256: str
    http: str
    grpc: str
    metrics: str
    tls: bool = False
    triton_http: str | None = None
    triton_version: str | None = None
    triton_origin: str = ""
    triton_warning: str = ""
    triton_pid: int | None = None
    gateway_pid: int | None = None
    triton_restarts: int = 0
    gateway_restarts: int = 0
    run_folder: str = field(default="", compare=False)

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        return self.supervisor.pid

    @property
    def url(self) -> str:
        """The root of the HTTP API."""
        return f"{self.scheme}://{self.http}"

    @property
    def scheme(self) -> str:
        """How the gateway's HTTP is reached."""
        return "https" if self.tls else "http"

    def to_bytes(self) -> bytes:
        """Serialise as JSON."""
        value = {"schema": _SCHEMA, **dataclasses.asdict(self), "phase": self.phase.value}
        return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> UpState:
        """Parse what `to_bytes` wrote.

        Raises:
            ValueError: it is something else.
        """
        try:
            value = json.loads(data)
            if value.pop("schema") != _SCHEMA:
                raise ValueError("another schema")
            return cls(**{**value, "phase": Phase(value["phase"]), "supervisor": RunningProcess(**value["supervisor"])})
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not the state of a running box: {error}") from error


def read(run: Path) -> UpState | None:
    """The state of the box that runs here; None if none does, also when a dead one or a copied root left the file.

    Raises:
        PermissionError: it may not be read.
    """
    try:
        state = UpState.from_bytes((run / STATE_NAME).read_bytes())
        is_here = state.run_folder == file_id(run)
    except (FileNotFoundError, ValueError):
        return None
    return state if is_here and state.supervisor.is_alive else None


def write(run: Path, state: UpState) -> None:
    """Replace the file."""
    durable.make_folder(run)
    durable.replace(run / STATE_NAME, dataclasses.replace(state, run_folder=file_id(run)).to_bytes())


def remove(run: Path) -> None:
    """Delete the file."""
    durable.remove(run / STATE_NAME)


@contextmanager
def only_one(run: Path) -> Iterator[bool]:
    """Hold the box's lock; gives whether an earlier run left its state behind (and removes that).

    Raises:
        UsageError: another process holds it.
    """
    durable.make_folder(run)
    descriptor = os.open(run / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            running = read(run)
            who = f" {running.model} (process {running.pid})" if running else ""
            raise UsageError(
                f"this box is already serving{who}", hint="stop it first, or choose another folder with --root"
            ) from error
        is_stale = (run / STATE_NAME).exists()
        remove(run)
        yield is_stale
    finally:
        os.close(descriptor)
