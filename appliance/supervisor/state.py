"""The state of a running box, in `run/up.json`.

The lock decides which supervisor runs. This file is for readers, who can detect the file of a dead supervisor.
"""

from __future__ import annotations

import dataclasses
import enum
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appliance import durable
from appliance.artefact.text_generation import TEXT_GENERATION
from appliance.running_process import RunningProcess, file_id

STATE_NAME = "up.json"
_SCHEMA = 3
# Schema 2 had one model, whose keys stood beside the box's. With one model, these keys are still written, for scripts.
_FLAT_SCHEMA = 2
_FLAT = {"model": "name", **{name: name for name in ("target", "preset", "artefact", "artefact_sha256")}}


class Phase(enum.Enum):
    """What the supervisor is doing."""

    STARTING = "starting"
    SERVING = "serving"
    RESTARTING = "restarting"
    DRAINING = "draining"


@dataclass(frozen=True)
class ModelState:
    """One model that a running box serves.

    Attributes:
        name: its name for clients and in Triton.
        target, preset: target and preset of the export.
        artefact: the artefact's folder.
        artefact_sha256: digest of its manifest.
        operators: which operators compute its graph on the CPU, see `ServedGraph`; empty for other runtimes.
        task: the name of its task.
    """

    name: str
    target: str
    preset: str
    artefact: str
    artefact_sha256: str
    operators: str = ""
    task: str = TEXT_GENERATION

    @property
    def label(self) -> str:
        """The name to print: "qwen2.5-coder-0.5b-instruct (cpu-balanced)"."""
        return f"{self.name} ({self.target}-{self.preset})"


@dataclass(frozen=True)
class UpState:
    """A running box.

    Attributes:
        phase: see Phase.
        supervisor: the supervisor's process.
        models: the models that it serves, at least one.
        http, grpc, metrics: the gateway's addresses.
        tls: whether the gateway uses TLS on its HTTP and gRPC addresses.
        triton_http: where the gateway serves Triton's own HTTP API; None if it does not.
        triton_version: "2.51.0"; None until Triton has reported its version.
        triton_origin: which installation of Triton it is.
        triton_warning: why this Triton is unfit for production, or an empty string.
        triton_pid, gateway_pid: the child processes; None while a child does not run.
        triton_restarts, gateway_restarts: how often each child was restarted.
        run_folder: identifies the file's folder, set by `write`: the file is not valid in a copied root.
    """

    phase: Phase
    supervisor: RunningProcess
    models: tuple[ModelState, ...]
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
    def names(self) -> tuple[str, ...]:
        """The names of the models."""
        return tuple(model.name for model in self.models)

    @property
    def default_model(self) -> ModelState:
        """The model that the command line uses: the first that generates text, or the first of a set without one."""
        return next((model for model in self.models if model.task == TEXT_GENERATION), self.models[0])

    @property
    def url(self) -> str:
        """The root of the HTTP API."""
        return f"{self.scheme}://{self.http}"

    @property
    def scheme(self) -> str:
        """The URL scheme of the gateway's HTTP API."""
        return "https" if self.tls else "http"

    def to_mapping(self) -> dict[str, Any]:
        """The JSON mapping. With one model, the model's keys stand beside the box's too."""
        value = {**dataclasses.asdict(self), "phase": self.phase.value}
        if len(self.models) == 1:
            value.update({key: getattr(self.models[0], attribute) for key, attribute in _FLAT.items()})
        return value

    def to_bytes(self) -> bytes:
        """Serialise as JSON."""
        value = {"schema": _SCHEMA, **self.to_mapping()}
        return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> UpState:
        """Parse the output of `to_bytes`, also that of an earlier version.

        Raises:
            ValueError: it is not a state of the box.
        """
        try:
            value = json.loads(data)
            schema = value.pop("schema")
            flat = {attribute: value.pop(key) for key, attribute in _FLAT.items() if key in value}
            if schema == _FLAT_SCHEMA:
                value["models"] = [flat]
            elif schema != _SCHEMA:
                raise ValueError("another schema")
            value["models"] = tuple(ModelState(**model) for model in value["models"])
            if not value["models"]:
                raise ValueError("no model")
            return cls(**{**value, "phase": Phase(value["phase"]), "supervisor": RunningProcess(**value["supervisor"])})
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not the state of a running box: {error}") from error


def read(run: Path) -> UpState | None:
    """The state of the box that runs here; None if none runs, or the file is from a dead box or in a copied root.

    Raises:
        PermissionError: this user may not read the file.
    """
    try:
        state = UpState.from_bytes((run / STATE_NAME).read_bytes())
        is_here = state.run_folder == file_id(run)
    except (FileNotFoundError, ValueError):
        return None
    return state if is_here and state.supervisor.is_alive else None


def write(run: Path, state: UpState) -> None:
    """Write the state file, replacing the old one."""
    durable.make_folder(run)
    durable.replace(run / STATE_NAME, dataclasses.replace(state, run_folder=file_id(run)).to_bytes())


def remove(run: Path) -> None:
    """Delete the state file."""
    durable.remove(run / STATE_NAME)
