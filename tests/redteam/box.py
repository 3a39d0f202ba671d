"""The attacked box: a real `appliance up` with keys of two principals, Triton's HTTP API, and small limits of time."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.gateway.keys import Keys
from tests.real_model import NAME, prepared_layout
from tests.redteam.client import Client
from tests.running_box import RunningBox
from tests.tiny_artefact import TINY

# Such that an attack need not wait long for its end, and a busy machine keeps to them all the same.
_LIMITS = """
[limits]
header_timeout_s = 10.0
body_timeout_s = 10.0
idle_timeout_s = 10.0
write_timeout_s = 10.0
"""
# A long prompt is as much of a try with a short context, and the real model takes minutes for a long one.
_REAL_CONTEXT_TOKENS = 4096
_TROUBLE = re.compile(r"Traceback \(most recent call last\)|Segmentation fault|Fatal Python error|panicked at")


class AttackedBox(RunningBox):
    """One box in a folder that other users of the machine can reach; it is deleted at the end.

    Attributes:
        model: the model that it serves.
        bystander_tokens: how long the bystander's answers are.
        seed: what the attacks draw their chances from.
    """

    def __init__(self, kind: str, seed: int, words: Sequence[str] = ("--triton-http", "127.0.0.1:0")) -> None:
        root = Path(tempfile.mkdtemp(prefix="appliance-redteam-"))
        root.chmod(0o755)
        self.model = NAME if kind == "real" else TINY
        self.bystander_tokens = 48 if kind == "real" else 400
        self.seed = seed
        if kind == "real":
            (root / "artefacts").symlink_to(prepared_layout().artefacts)
        super().__init__(root, [self.model, *words], drain_s=10.0)
        settings = root / "appliance.toml"
        context = f"max_context_tokens = {_REAL_CONTEXT_TOKENS}\n" if kind == "real" else ""
        settings.write_text(settings.read_text() + context + _LIMITS)
        self._keys = Keys(root / "keys" / "keys.json")
        self._key_of = {name: self._keys.make("infer") for name in ("victim", "attacker")}
        self._seen: dict[Path, int] = {}

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        shutil.rmtree(self.root)

    def client(self, name: str | None) -> Client:
        """The "victim", the "attacker", or somebody without a key."""
        state = self.state
        return Client(state.http, state.grpc, self.model, self._key_of[name] if name else None)

    @property
    def attacker(self) -> Client:
        """Who attacks."""
        return self.client("attacker")

    @property
    def victim(self) -> Client:
        """Who must not notice."""
        return self.client("victim")

    @property
    def triton_http(self) -> str:
        """Where Triton's HTTP API is served."""
        assert self.state.triton_http
        return self.state.triton_http

    @property
    def parts(self) -> tuple[int | None, int | None, int, int]:
        """Which programs its parts are, and how often they were started again."""
        state = self.state
        return state.triton_pid, state.gateway_pid, state.triton_restarts, state.gateway_restarts

    def new_trouble(self) -> list[str]:
        """Lines of the logs, since the last look, that only a fault writes."""
        found: list[str] = []
        for log in [self.output, *sorted((self.root / "run").glob("*.log"))]:
            with log.open("rb") as stream:
                # A log that was put aside begins anew.
                stream.seek(min(self._seen.get(log, 0), os.fstat(stream.fileno()).st_size))
                text = stream.read().decode(errors="replace")
                self._seen[log] = stream.tell()
            found += [f"{log.name}: {text[match.start() :][:600]}" for match in _TROUBLE.finditer(text)]
        return found
