"""The box that the clients use: `appliance up` with the real models, and API keys."""

from __future__ import annotations

from pathlib import Path

from tests.clients import calls
from tests.gateway.keys import Keys
from tests.real_model import EMBEDDER, NAME, artefact_of, prepared_layout
from tests.running_box import RunningBox

_CONFIGURATION = """\
[serve]
http_address = "127.0.0.1:0"
grpc_address = "127.0.0.1:0"
metrics_address = "127.0.0.1:0"
slots = 4
# Agents send prompts of ten thousand tokens.
cache_bytes = 800_000_000
drain_s = 10.0
"""


class ClientsBox(RunningBox):
    """One box with a chat model, an embedding model and one key."""

    def __init__(self, root: Path) -> None:
        prepared_layout(EMBEDDER)
        layout = prepared_layout()
        (root / "artefacts").symlink_to(layout.artefacts)
        self._tokenizer = artefact_of(layout) / "tokenizer.json"
        super().__init__(root, [NAME, EMBEDDER, "--triton-http", "127.0.0.1:0"])
        (root / "appliance.toml").write_text(_CONFIGURATION)
        self._key = Keys(root / "keys" / "keys.json").make("infer")

    @property
    def environment(self) -> dict[str, str]:
        """What a client's file is told of it."""
        state = self.state
        return {
            calls.HTTP: state.http,
            calls.GRPC: state.grpc,
            calls.METRICS: state.metrics,
            calls.TRITON: state.triton_http or "",
            calls.TOKENIZER: str(self._tokenizer),
            calls.MODEL: NAME,
            calls.EMBEDDER: EMBEDDER,
            calls.KEY: self._key,
        }
