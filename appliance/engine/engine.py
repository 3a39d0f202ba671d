"""The engine: a thread that runs the graph step by step and tells each request's sink what came out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from appliance.engine.config import EngineConfig
from appliance.engine.events import Event
from appliance.engine.request import Request
from appliance.engine.stats import EngineStats
from appliance.engine.tokenizer import Tokenizer

Sink = Callable[[Event], None]


class Engine:
    """Runs one artefact."""

    tokenizer: Tokenizer

    @classmethod
    def load(cls, artefact: Path, config: EngineConfig) -> Engine:
        """Verify the artefact, make the session, start the thread."""
        raise NotImplementedError

    def submit(self, request: Request, sink: Sink) -> None:
        """Queue a request."""
        raise NotImplementedError

    def cancel(self, request_id: str) -> None:
        """End a request within one step."""
        raise NotImplementedError

    def stats(self) -> EngineStats:
        """A snapshot of what the engine holds and has done."""
        raise NotImplementedError

    def close(self, drain_s: float = 0.0) -> None:
        """Stop accepting, let running requests finish for `drain_s` seconds, then end the thread."""
        raise NotImplementedError
