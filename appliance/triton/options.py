"""tritonserver's command line. Options that differ by version are asked for with --help, never assumed."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance.address import Address
from appliance.errors import MissingProgramError

_OPTION = re.compile(r"^\s+--([a-z0-9-]+)", re.MULTILINE)
_HELP_TIMEOUT_S = 30.0
# What a client on loopback could do harm with. Inference, health and metadata stay open.
RESTRICTED = ("model-repository", "shared-memory", "trace", "logging")
SECRET_HEADER = "appliance-secret"  # noqa: S105 - its name, not its value
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
        model: the one model to load.
        grpc: where gRPC listens.
        metrics: where metrics are.
        http: where HTTP listens; None switches it off.
        secret: value of the header that opens the restricted protocols.
        shared_memory_prefix: start of the names of this server's files in /dev/shm.
        exit_timeout_s: seconds that running requests get when it ends.
    """

    repository: Path
    backends: Path
    model: str
    grpc: Address
    metrics: Address
    http: Address | None
    secret: str
    shared_memory_prefix: str
    exit_timeout_s: int = 30


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
        raise MissingProgramError(f"{program} does not run: {said}", hint="install Triton again")
    return found


def arguments(options: ServerOptions, known: frozenset[str]) -> list[str]:
    """The arguments for tritonserver; options that it does not know are left out."""
    secret = f"{','.join(RESTRICTED)}:{SECRET_HEADER}={options.secret}"
    words = [
        f"--model-repository={options.repository}",
        "--model-control-mode=explicit",
        f"--load-model={options.model}",
        # The configuration is complete: without this Triton starts a second Python to complete it.
        "--disable-auto-complete-config",
        f"--backend-directory={options.backends}",
        f"--backend-config=python,shm-region-prefix-name={options.shared_memory_prefix}",
        f"--backend-config=python,shm-default-byte-size={SHARED_MEMORY_BYTES}",
        f"--grpc-address={options.grpc.host}",
        f"--grpc-port={options.grpc.port}",
        f"--metrics-address={options.metrics.host}",
        f"--metrics-port={options.metrics.port}",
        "--allow-cpu-metrics=false",
        "--allow-gpu-metrics=false",
        f"--exit-timeout-secs={options.exit_timeout_s}",
        # No GPU memory is pinned for tensors of a few kilobytes.
        "--pinned-memory-pool-byte-size=0",
    ]
    if options.http is None:
        words.append("--allow-http=false")
    else:
        words += ["--allow-http=true", f"--http-address={options.http.host}", f"--http-port={options.http.port}"]
    optional = [
        ("allow-sagemaker", "false"),
        ("allow-vertex-ai", "false"),
        ("grpc-restricted-protocol", secret),
        ("grpc-max-response-pool-size", str(_RESPONSE_POOL)),
    ]
    if options.http is not None:
        optional.append(("http-restricted-api", secret))
    return words + [f"--{name}={value}" for name, value in optional if name in known]


def unprotected(known: frozenset[str]) -> tuple[str, ...]:
    """What this tritonserver cannot be told to do, one line each, for the log."""
    lines = []
    if "grpc-restricted-protocol" not in known:
        lines.append("it cannot restrict its administrative protocols: every local user may load models into it")
    if "grpc-max-response-pool-size" not in known:
        lines.append("it has no --grpc-max-response-pool-size: a client that stops reading makes it grow")
    return tuple(lines)
