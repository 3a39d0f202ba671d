"""tritonserver's command line. Options that differ by version are asked for with --help, never assumed."""

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
# Nothing of ours uses these. They want a header that the gateway never sends and never passes on; it is no secret, for
# whoever could send it is our own user, and past everything that Triton could ask for.
RESTRICTED = "model-repository,shared-memory,trace,logging:appliance-administration=closed"
# Lazily allocated; one growth of a region costs more than a page that is never touched.
SHARED_MEMORY_BYTES = 16 << 20
# More responses than any completion has tokens: bounded, and a slow reader does not hold up the sending thread.
_RESPONSE_POOL = 1 << 16


@dataclass(frozen=True)
class ServerOptions:
    """What a start of tritonserver is told.

    Attributes:
        repository: the model repository.
        backends: the backend folder.
        sockets: the folder of its Unix sockets, from the folder that it runs in: a short path of ASCII letters.
        shared_memory_prefix: start of the names of this server's files in /dev/shm.
        exit_timeout_s: seconds that running requests get when it ends.
    """

    repository: Path
    backends: Path
    sockets: Path
    shared_memory_prefix: str
    exit_timeout_s: int = 30

    @property
    def paths(self) -> set[str]:
        """The sockets that it will listen on, as it is told them."""
        return {f"{self.sockets}/{name}" for name in (sockets.GRPC, sockets.METRICS)}


def known_options(program: Path, environment: Mapping[str, str]) -> frozenset[str]:
    """The names of the options that this tritonserver has.

    Raises:
        MissingProgramError: it cannot be run.
    """
    try:
        # --help exits with 1 and prints on standard error.
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
    """The arguments for tritonserver; options that it does not know are left out."""
    words = [
        f"--model-repository={options.repository}",
        # What is in the repository is loaded at the start, and nothing ever after: loading may bring code along.
        "--model-control-mode=none",
        # The configuration is complete: without this Triton starts a second Python to complete it.
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
        # No GPU memory is pinned for tensors of a few kilobytes.
        "--pinned-memory-pool-byte-size=0",
    ]
    optional = [
        ("allow-sagemaker", "false"),
        ("allow-vertex-ai", "false"),
        ("grpc-restricted-protocol", RESTRICTED),
        ("grpc-max-response-pool-size", str(_RESPONSE_POOL)),
    ]
    return words + [f"--{name}={value}" for name, value in optional if name in known]


def unprotected(known: frozenset[str]) -> tuple[str, ...]:
    """What this tritonserver cannot be told to do, one line each, for the log."""
    if "grpc-max-response-pool-size" in known:
        return ()
    return ("it has no --grpc-max-response-pool-size: a client that stops reading makes it grow",)
