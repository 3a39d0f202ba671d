"""Where the gateway listens, whom it asks, and its limits. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from appliance.address import Address
from appliance.auth.policy import Policy
from appliance.gateway.access.door import DoorLimits


@dataclass(frozen=True)
class OfferedModel:
    """One model to offer.

    Attributes:
        artefact: its folder.
        slots: sequences that it runs at the same time; only for estimates of how long a request would wait.
    """

    artefact: Path
    slots: int = 8


@dataclass(frozen=True)
class Settings:
    """All that the gateway is told at start.

    Attributes:
        triton: the folder of Triton's sockets.
        http: where the OpenAI API listens.
        grpc: where our gRPC API and KServe's listen.
        metrics: where Prometheus scrapes.
        triton_http: where Triton's own HTTP API is served; None leaves it off.
        models: what to offer.
        drain_s: seconds that running requests get to finish after SIGTERM.
        timeout_s: seconds that any one request may take.
        max_body_bytes: a larger HTTP body or gRPC message is refused.
        max_requests: requests under way at once; more are refused before they cost anything.
        body_timeout_s: seconds a client has to send its body.
        write_timeout_s: seconds a client may leave its answer unread before its request is cancelled.
        header_timeout_s: seconds a connection has for its handshake, and for the head of each request.
        idle_timeout_s: seconds a connection may stay open between two requests.
        max_connections: HTTP connections at once; one more closes the one that has been idle longest.
        policy: who is let in, and with which certificates.
        limits: how much of it.
        socket: where the operator's Unix socket goes; None: there is none.
    """

    triton: Path
    http: Address
    grpc: Address
    models: tuple[OfferedModel, ...]
    metrics: Address
    triton_http: Address | None = None
    drain_s: float = 30.0
    timeout_s: float = 3600.0
    max_body_bytes: int = 4 << 20
    max_requests: int = 1024
    body_timeout_s: float = 30.0
    write_timeout_s: float = 20.0
    header_timeout_s: float = 10.0
    idle_timeout_s: float = 30.0
    max_connections: int = 16384
    policy: Policy = field(default_factory=Policy)
    limits: DoorLimits = field(default_factory=DoorLimits)
    socket: Path | None = None

    @property
    def is_exposed(self) -> bool:
        """Whether others than this machine reach it."""
        return not all(address.is_loopback for address in self.addresses)

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where clients ask."""
        return (self.http, self.grpc, *([self.triton_http] if self.triton_http else []))
