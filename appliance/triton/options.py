"""tritonserver's command line. --help shows which of the version-dependent options this server has."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import MissingProgramError
from appliance.triton import sockets

_OPTION = re.compile(r"^\s+--([a-z0-9-]+)", re.MULTILINE)
_HELP_TIMEOUT_S = 30.0
# The box uses only the first of these APIs. They require headers that the gateway never forwards. The headers are not
# secret: only the box's own user can reach Triton, and that user can do all that these APIs can.
_MODELS_KEY, _MODELS_VALUE = "appliance-models", "open"
RESTRICTED = (
    f"model-repository:{_MODELS_KEY}={_MODELS_VALUE}",
    "shared-memory,trace,logging:appliance-administration=closed",
)
# The header for loading and unloading, as gRPC metadata.
MODEL_CONTROL = ((f"triton-grpc-protocol-{_MODELS_KEY}", _MODELS_VALUE),)
# Shared memory is allocated lazily: growing a region costs more than reserving pages that are never touched.
SHARED_MEMORY_BYTES = 16 << 20
# More responses than any completion has tokens: bounded, and a slow reader does not block the sending thread.
_RESPONSE_POOL = 1 << 16


@dataclass(frozen=True)
class ServerOptions:
    """The settings of one start of tritonserver.

    Attributes:
        repository: the model repository.
        backends: the backend folder.
        sockets: the folder of its Unix sockets, relative to its working directory: a short path of ASCII letters.
        shared_memory_prefix: prefix of this server's file names in /dev/shm.
        models: the models to load at the start.
        exit_timeout_s: seconds for running requests to finish when the server ends.
    """

    repository: Path
    backends: Path
    sockets: Path
    shared_memory_prefix: str
    models: tuple[str, ...] = ()
    exit_timeout_s: int = 30

    @property
    def paths(self) -> set[str]:
        """The paths of the sockets that it listens on, as given in its options."""
        return {f"{self.sockets}/{name}" for name in (sockets.GRPC, sockets.METRICS)}


def known_options(program: Path, environment: Mapping[str, str]) -> frozenset[str]:
    """The names of the options that this tritonserver supports.

    Raises:
        MissingProgramError: tritonserver cannot be run.
    """
    try:
        # --help exits with status 1 and prints to standard error.
        ran = subprocess.run(
            [program, "--help"],
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_HELP_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MissingProgramError(f"{program} cannot be run: {error}", hint="install Triton again") from error
    found = frozenset(_OPTION.findall(ran.stderr + ran.stdout))
    if "model-repository" not in found:
        said = (ran.stderr.strip() or ran.stdout.strip() or f"exit status {ran.returncode}").splitlines()[-1]
        raise MissingProgramError(f"{program} failed: {said}", hint="install Triton again")
    return found


def arguments(options: ServerOptions, known: frozenset[str]) -> list[str]:
    """The arguments for tritonserver, without the options that it does not support."""
    words = [
        f"--model-repository={options.repository}",
        # Triton loads these models, and later only what the box orders: loading a model can execute code.
        "--model-control-mode=explicit",
        *(f"--load-model={name}" for name in options.models),
        # One model that cannot be loaded does not take the others down.
        *(["--exit-on-error=false"] if len(options.models) > 1 else []),
        # The configuration is complete; without this option, Triton starts a second Python process to complete it.
        "--disable-auto-complete-config",
        f"--backend-directory={options.backends}",
        f"--backend-config=python,shm-region-prefix-name={options.shared_memory_prefix}",
        f"--backend-config=python,shm-default-byte-size={SHARED_MEMORY_BYTES}",
        f"--grpc-address=unix:{options.sockets}/{sockets.GRPC.partition(':')[0]}",
        f"--grpc-port={sockets.GRPC_PORT}",
        f"--metrics-address=unix:{options.sockets}/{sockets.METRICS}",
        "--allow-http=false",
        "--allow-cpu-metrics=false",
        "--allow-gpu-metrics=false",
        f"--exit-timeout-secs={options.exit_timeout_s}",
        # The tensors have a few kilobytes and need no pinned memory.
        "--pinned-memory-pool-byte-size=0",
    ]
    optional = [
        ("allow-sagemaker", "false"),
        ("allow-vertex-ai", "false"),
        *(("grpc-restricted-protocol", each) for each in RESTRICTED),
        ("grpc-max-response-pool-size", str(_RESPONSE_POOL)),
    ]
    return words + [f"--{name}={value}" for name, value in optional if name in known]


def unprotected(known: frozenset[str]) -> tuple[str, ...]:
    """The protections that this tritonserver does not support, one line each, for the log."""
    if "grpc-max-response-pool-size" in known:
        return ()
    return ("it has no --grpc-max-response-pool-size: a client that stops reading makes it grow",)
