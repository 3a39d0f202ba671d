"""Where the gateway listens, whom it asks, and its limits. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from appliance.address import Address


@dataclass(frozen=True)
class Settings:
    """All that the gateway is told at start.

    Attributes:
        triton: where Triton's gRPC listens.
        http: where the OpenAI API listens.
        grpc: where our gRPC API and KServe's listen.
        metrics: where Prometheus scrapes.
        triton_metrics: where Triton's metrics are, which go onto the same page; None leaves them out.
        artefacts: folders of the models to offer.
        drain_s: seconds that running requests get to finish after SIGTERM.
        timeout_s: seconds that any one request may take.
        max_body_bytes: a larger HTTP body or gRPC message is refused.
        max_requests: requests under way at once; more are refused before they cost anything.
        body_timeout_s: seconds a client has to send its body.
        write_timeout_s: seconds a client may leave its answer unread before its request is cancelled.
        slots: sequences that each model runs at the same time; only for estimates of how long a request would wait.
    """

    triton: Address
    http: Address
    grpc: Address
    artefacts: tuple[Path, ...]
    metrics: Address
    triton_metrics: Address | None = None
    drain_s: float = 30.0
    timeout_s: float = 3600.0
    max_body_bytes: int = 4 << 20
    max_requests: int = 1024
    body_timeout_s: float = 30.0
    write_timeout_s: float = 20.0
    slots: int = 8
