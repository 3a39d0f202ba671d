"""Checks in Edge-LLM's own environment how far it can be loaded. This process does not import it.

The environment must be separate: Edge-LLM needs numpy 2.2.6 or newer, and Triton's Python backend an older numpy.
"""

from __future__ import annotations

import enum
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from appliance.edgellm import inside

# The version that was examined: docs/jetson.md.
KNOWN_VERSION = "0.11.0"
TIMEOUT_S = 30.0


class State(enum.Enum):
    """How far Edge-LLM can be loaded."""

    NOT_INSTALLED = "not installed"
    CANNOT_LOAD = "installed, cannot load"
    LOADS = "loads"


@dataclass(frozen=True)
class EdgeLlm:
    """The result of the check.

    Attributes:
        state: see State.
        version: version of the package; empty if unknown.
        gpu: the GPU that it found, such as "sm_87"; empty if it found none.
        reason: why it cannot be loaded, one line; empty if it can.
    """

    state: State
    version: str = ""
    gpu: str = ""
    reason: str = ""

    def __str__(self) -> str:
        if self.state is State.NOT_INSTALLED:
            return str(self.state.value)
        if self.state is State.CANNOT_LOAD:
            return f"{self.state.value}: {self.reason}"
        return f"version {self.version} {self.state.value} on {self.gpu}; no request is delegated to it yet"


def probe(python: Path) -> EdgeLlm:
    """Check the environment of this Python; if the Python does not exist, Edge-LLM counts as not installed.

    A library that hangs or crashes while it is loaded counts as one that cannot be loaded.
    """
    if not python.is_file():
        return EdgeLlm(State.NOT_INSTALLED)
    command = [str(python), "-I", inside.__file__]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
        # Libraries may print something first.
        found = json.loads(ended.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return EdgeLlm(State.CANNOT_LOAD, reason=f"it did not load within {TIMEOUT_S:g} s")
    except subprocess.CalledProcessError as error:
        return EdgeLlm(State.CANNOT_LOAD, reason=f"its Python ended with status {error.returncode} while it loaded")
    except (OSError, ValueError, IndexError):
        return EdgeLlm(State.CANNOT_LOAD, reason=f"{python} is no Python that answers")
    return _judged(found)


def _judged(found: dict[str, str]) -> EdgeLlm:
    version, gpu, error = (found.get(name, "") for name in ("version", "gpu", "error"))
    if not version:
        return EdgeLlm(State.NOT_INSTALLED)
    if version != KNOWN_VERSION:
        return EdgeLlm(
            State.CANNOT_LOAD, version, gpu, f"it is version {version}; the appliance supports only {KNOWN_VERSION}"
        )
    if error:
        return EdgeLlm(State.CANNOT_LOAD, version, gpu, " ".join(error.split()))
    return EdgeLlm(State.LOADS, version, gpu)
