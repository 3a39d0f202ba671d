"""All paths of the appliance, derived from one root. It reads and creates nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance.names import check_name, variant

SYSTEM_ROOT = Path("/var/lib/appliance")


@dataclass(frozen=True)
class Layout:
    """The paths under one root folder, and the cache of downloads.

    Attributes:
        root: state of this box.
        cache: downloads and finished export stages, safe to delete at any time.
    """

    root: Path
    cache: Path

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], root: Path | None = None) -> Layout:
        """Choose the root: the argument, APPLIANCE_ROOT, /var/lib/appliance if it exists, or XDG's data home."""
        home = Path(environ.get("HOME") or Path("~").expanduser())
        if root is None and environ.get("APPLIANCE_ROOT"):
            root = Path(environ["APPLIANCE_ROOT"])
        if root is None and SYSTEM_ROOT.is_dir() and os.access(SYSTEM_ROOT, os.W_OK):
            root = SYSTEM_ROOT
        if root is None:
            root = Path(environ.get("XDG_DATA_HOME") or home / ".local" / "share") / "appliance"
        cache = Path(
            environ.get("APPLIANCE_CACHE") or Path(environ.get("XDG_CACHE_HOME") or home / ".cache") / "appliance"
        )
        return cls(root=root.expanduser().absolute(), cache=cache.expanduser().absolute())

    @property
    def config_file(self) -> Path:
        """The box's configuration; without this file, the defaults apply."""
        return self.root / "appliance.toml"

    @property
    def catalogue(self) -> Path:
        """The site's own catalogue entries, one TOML file per model."""
        return self.root / "catalogue"

    @property
    def store(self) -> Path:
        """Verified files, content-addressed and read-only."""
        return self.root / "store"

    @property
    def models(self) -> Path:
        """One JSON file per pulled model, with the digests of its files."""
        return self.root / "models"

    @property
    def artefacts(self) -> Path:
        """Installed artefacts: `<artefacts>/<model>/<target>-<preset>/` contains the releases of one artefact."""
        return self.root / "artefacts"

    @property
    def exports(self) -> Path:
        """Artefacts in plain folders, made by hand or by an earlier version: `<exports>/<model>/<target>-<preset>/`."""
        return self.root / "exports"

    def plain_artefact(self, model: str, target: str, preset: str) -> Path:
        """The plain folder of one artefact."""
        return self.exports / check_name(model, "model") / variant(target, preset)

    @property
    def engines(self) -> Path:
        """TensorRT plans that were built on this box, and the files that builds need."""
        return self.root / "engines"

    @property
    def model_repository(self) -> Path:
        """Triton's model repository, rendered at each start."""
        return self.root / "model_repository"

    @property
    def run(self) -> Path:
        """State of the running box: pids, ports, logs. Empty when the box does not run."""
        return self.root / "run"

    @property
    def keys(self) -> Path:
        """The API keys: ids and digests, without the secrets."""
        return self.root / "keys" / "keys.json"

    @property
    def routes(self) -> Path:
        """The routes of models."""
        return self.root / "routes.json"

    @property
    def drills(self) -> Path:
        """The records of drills."""
        return self.root / "drills"

    @property
    def policy(self) -> Path:
        """Which models the site refuses."""
        return self.root / "policy.json"

    @property
    def tls(self) -> Path:
        """The site CA and the server's certificate."""
        return self.root / "tls"

    @property
    def edge_llm(self) -> Path:
        """The Python of TensorRT Edge-LLM's environment, if the operator created one."""
        return self.root / "edge-llm" / "bin" / "python"

    @property
    def gateway_socket(self) -> Path:
        """The gateway's Unix socket for the operator of this machine."""
        return self.run / "gateway.sock"

    @property
    def triton_sockets(self) -> Path:
        """The folder of Triton's Unix sockets, which other users cannot enter."""
        return self.run / "triton"

    @property
    def downloads(self) -> Path:
        """Partial and finished downloads, verified on every use."""
        return self.cache / "downloads"

    @property
    def stages(self) -> Path:
        """Results of export stages, keyed by the digest of all their inputs."""
        return self.cache / "stages"

    @property
    def operators(self) -> Path:
        """Compiled operators, keyed by the digest of all their inputs."""
        return self.cache / "ops"
