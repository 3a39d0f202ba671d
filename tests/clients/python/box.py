"""The box, as a client's file sees it."""

from __future__ import annotations

import json
import os
import re
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.clients import calls

LIMIT_S = 300.0
_CANCELLED = re.compile(r'^appliance_gateway_requests_total\{.*outcome="cancelled".*\} (\S+)$', re.MULTILINE)


@dataclass(frozen=True)
class Box:
    """Where the box is.

    Attributes:
        http: URL of the HTTP API, without a path.
        grpc: address of the gRPC API.
        triton: address of Triton's HTTP API.
        metrics: URL of the metrics.
        tokenizer: path of the model's tokenizer.json.
        model: the chat model that it serves.
        embedder: the embedding model that it serves.
        key: an API key that the box accepts.
    """

    http: str
    grpc: str
    triton: str
    metrics: str
    tokenizer: str
    model: str
    embedder: str
    key: str

    @classmethod
    def from_environment(cls) -> Box:
        """The box that the runner started."""
        return cls(
            http=f"http://{os.environ[calls.HTTP]}",
            grpc=os.environ[calls.GRPC],
            triton=os.environ[calls.TRITON],
            metrics=f"http://{os.environ[calls.METRICS]}/metrics",
            tokenizer=os.environ[calls.TOKENIZER],
            model=os.environ[calls.MODEL],
            embedder=os.environ[calls.EMBEDDER],
            key=os.environ[calls.KEY],
        )

    @property
    def v1(self) -> str:
        """The base URL for OpenAI's clients."""
        return f"{self.http}/v1"

    @contextmanager
    def cancels_one(self) -> Iterator[None]:
        """Wait, after the block, until the box has counted one more cancelled request."""
        before = self._cancelled
        yield
        deadline = time.monotonic() + LIMIT_S
        while self._cancelled <= before:
            assert time.monotonic() < deadline, "the box counted no cancelled request"
            time.sleep(0.05)

    @property
    def _cancelled(self) -> float:
        with urllib.request.urlopen(self.metrics, timeout=LIMIT_S) as page:  # noqa: S310 - it is our own box
            return sum(float(count) for count in _CANCELLED.findall(page.read().decode()))


WEATHER_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "name of the city"}},
    "required": ["city"],
}
ASK_WEATHER = "What is the weather in Paris? Call the tool get_weather."
WEATHER = json.dumps({"sky": "clear", "temperature_celsius": 21})
# Longer than the context of every model that the tests serve.
TOO_LONG = "one two three four " * 20_000
