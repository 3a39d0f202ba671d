"""Every path the appliance uses, derived from one root. It creates nothing and reads nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance.names import check_name, variant

SYSTEM_ROOT = Path("/var/lib/appliance")


@dataclass(frozen=True)
class Layout:
    """Where everything lives under one root folder, and where downloads are cached.

    Attributes:
        root: state of this box.
        cache: downloads and finished export stages, safe to delete at any time.
    """

    root: Path
    cache: Path

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], root: Path | None = None) -> Layout:
        """Resolve the root: the argument, APPLIANCE_ROOT, /var/lib/appliance if it exists, or XDG's data home."""
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
        """The box's configuration; absent means defaults."""
        return self.root / "appliance.toml"

    @property
    def catalogue(self) -> Path:
        """Catalogue entries of the site's own, one TOML file a model."""
        return self.root / "catalogue"

    @property
    def store(self) -> Path:
        """Verified files, content-addressed and read-only."""
        return self.root / "store"

    @property
    def models(self) -> Path:
        """One JSON file a pulled model: which stored digests make it up."""
        return self.root / "models"

    @property
    def artefacts(self) -> Path:
        """Installed artefacts: `<artefacts>/<model>/<target>-<preset>/` has the releases of one."""
        return self.root / "artefacts"

    @property
    def exports(self) -> Path:
        """Artefacts in plain folders, by hand or by an earlier version: `<exports>/<model>/<target>-<preset>/`."""
        return self.root / "exports"

    def plain_artefact(self, model: str, target: str, preset: str) -> Path:
        """Where one artefact lies that came in a plain folder."""
        return self.exports / check_name(model, "model") / variant(target, preset)

    @property
    def engines(self) -> Path:
        """Plans of TensorRT that were built on this box, and what building them needs."""
        return self.root / "engines"

    @property
    def model_repository(self) -> Path:
        """Triton's model repository, rendered at each start."""
        return self.root / "model_repository"

    @property
    def run(self) -> Path:
        """State of the running box: pids, ports, logs. Empty when nothing runs."""
        return self.root / "run"

    @property
    def keys(self) -> Path:
        """The API keys: ids and digests, never a secret."""
        return self.root / "keys" / "keys.json"

    @property
    def tls(self) -> Path:
        """The site CA and the server's certificate."""
        return self.root / "tls"

    @property
    def edge_llm(self) -> Path:
        """Python of the environment that holds TensorRT Edge-LLM, if the operator made one."""
        return self.root / "edge-llm" / "bin" / "python"

    @property
    def gateway_socket(self) -> Path:
        """The gateway's own Unix socket, for this machine's operator."""
        return self.run / "gateway.sock"

    @property
    def triton_sockets(self) -> Path:
        """The folder of Triton's Unix sockets, closed to other users."""
        return self.run / "triton"

    @property
    def downloads(self) -> Path:
        """Partial and finished downloads, verified on every use."""
        return self.cache / "downloads"

    @property
    def stages(self) -> Path:
        """Results of export stages, keyed by the digest of all that went into them."""
        return self.cache / "stages"
