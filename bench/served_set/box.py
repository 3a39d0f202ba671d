"""A box with several models, in a root folder of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import httpx
import psutil

from appliance.artefact.folder import read_manifest
from appliance.layout import Layout
from appliance.supervisor import state
from appliance.supervisor.state import Phase, UpState
from appliance.triton.model_process import model_processes

_START_S = 180.0
_POLL_S = 0.05
_ADDRESSES = "\n".join(f'{name}_address = "127.0.0.1:0"' for name in ("http", "grpc", "metrics"))


class SetBox:
    """`appliance up` over some artefacts, in the block."""

    def __init__(self, artefacts: Mapping[str, Path], threads: Mapping[str, int], engines: Path) -> None:
        """Prepare the box.

        Args:
            artefacts: the models by name.
            threads: the threads of models that do not use all cores.
            engines: the folder with the packed graphs of an earlier box.
        """
        self._scratch = tempfile.TemporaryDirectory(prefix="bench-set-")
        self.layout = Layout(root=Path(self._scratch.name), cache=Path(self._scratch.name) / "cache")
        tables = []
        for name, folder in artefacts.items():
            manifest = read_manifest(folder)
            plain = self.layout.plain_artefact(name, manifest.target, manifest.preset)
            plain.parent.mkdir(parents=True)
            plain.symlink_to(folder.resolve(), target_is_directory=True)
            own = f"threads = {threads[name]}\n" if name in threads else ""
            tables.append(f'[[serve.model]]\nname = "{name}"\n{own}')
        if engines.is_dir():
            self.layout.engines.symlink_to(engines.resolve(), target_is_directory=True)
        self.layout.config_file.write_text("\n".join(["[serve]", _ADDRESSES, *tables]), encoding="utf-8")

    def __enter__(self) -> SetBox:  # noqa: PYI034 - Self came with Python 3.11
        self._log = tempfile.TemporaryFile()
        self._up = subprocess.Popen(
            [sys.executable, "-m", "appliance.cli", "--root", str(self.layout.root), "up"],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        try:
            self.state = self._serving()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._up.poll() is None:
            self._up.send_signal(signal.SIGTERM)
            self._up.wait()
        self._log.close()
        self._scratch.cleanup()

    def process(self, model: str) -> psutil.Process:
        """The process of a model."""
        assert self.state.triton_pid is not None
        return model_processes(self.state.triton_pid)[model]

    def _serving(self) -> UpState:
        until = time.monotonic() + _START_S
        while self._up.poll() is None and time.monotonic() < until:
            found = state.read(self.layout.run)
            if found is not None and found.phase is Phase.SERVING and _is_ready(found):
                return found
            time.sleep(_POLL_S)
        self._log.seek(0)
        raise RuntimeError(f"the box did not start:\n{self._log.read().decode(errors='replace')}")


def _is_ready(up: UpState) -> bool:
    return httpx.get(f"{up.url}/health/ready", trust_env=False).status_code == httpx.codes.OK
