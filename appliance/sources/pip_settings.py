"""Reads the user's pip settings for package indexes, so that wheels are downloaded in the same way."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from pypi_simple import PYPI_SIMPLE_ENDPOINT

# In pip's order of precedence: the environment, the command's section, the global section.
SECTIONS = (":env:", "download", "install", "global")
DEFAULT_TIMEOUT_S = 60.0
PIP_TIMEOUT_S = 60


@dataclass(frozen=True)
class PipSettings:
    """The places to search for wheels, and the connection settings.

    Attributes:
        indexes: URLs of simple indexes (https, http or file), in order of preference.
        find_links: folders that contain wheels.
        certificates: file or folder of trusted certificates; None for the default ones.
        client_certificate: file with a client certificate and its key, or None.
        proxy: URL of the proxy; None for the environment's proxy.
        timeout_s: seconds without an answer before a connection is closed.
    """

    indexes: tuple[str, ...]
    find_links: tuple[str, ...] = ()
    certificates: str | None = None
    client_certificate: str | None = None
    proxy: str | None = None
    timeout_s: float = DEFAULT_TIMEOUT_S

    @classmethod
    def read(cls, index_url: str | None = None) -> PipSettings:
        """Read pip's configuration; `index_url` replaces all of pip's indexes."""
        return cls.from_options(read_pip_options(os.environ), index_url)

    @classmethod
    def from_options(cls, options: Mapping[str, str], index_url: str | None = None) -> PipSettings:
        """Create settings from pip's options, `section.name` -> value; `index_url` replaces all of pip's indexes."""

        def option(name: str) -> str:
            return next((options[f"{s}.{name}"] for s in SECTIONS if options.get(f"{s}.{name}")), "")

        indexes = [option("index-url") or PYPI_SIMPLE_ENDPOINT, *option("extra-index-url").split()]
        if option("no-index").lower() in {"1", "true", "yes", "on"}:
            indexes = []
        return cls(
            indexes=(index_url,) if index_url else tuple(indexes),
            find_links=tuple(option("find-links").split()),
            certificates=option("cert") or None,
            client_certificate=option("client-cert") or None,
            proxy=option("proxy") or None,
            timeout_s=_seconds(option("timeout") or option("default-timeout")),
        )


def read_pip_options(environ: Mapping[str, str]) -> dict[str, str]:
    """All options that pip uses, from its files and the environment; without pip, only those of the environment."""
    options = {
        f":env:.{key[4:].lower().replace('_', '-')}": value for key, value in environ.items() if key.startswith("PIP_")
    }
    # Isolated mode: no module from the current folder.
    command = [sys.executable, "-I", "-m", "pip", "config", "list", "--disable-pip-version-check"]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=PIP_TIMEOUT_S,
            env=dict(environ),
        )
    except (OSError, subprocess.TimeoutExpired):
        return options
    if done.returncode == 0:
        options |= _parse(done.stdout)
    return options


def _parse(listing: str) -> dict[str, str]:
    options = {}
    for line in listing.splitlines():
        key, separator, quoted = line.partition("=")
        if separator:
            try:
                options[key] = str(ast.literal_eval(quoted))
            except (ValueError, SyntaxError):
                options[key] = quoted
    return options


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return DEFAULT_TIMEOUT_S
