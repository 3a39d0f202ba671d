"""The gateway's addresses, models and limits. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from appliance.address import Address
from appliance.auth.policy import Policy
from appliance.config import ModelConfig, UnknownParameters
from appliance.gateway.access.door import DoorLimits
from appliance.layout import Layout


@dataclass(frozen=True)
class OfferedModel:
    """One model to serve.

    Attributes:
        artefact: the artefact's folder.
        slots: sequences that the engine runs at the same time; used only to estimate the wait of a request.
        memory_bytes: main memory that the model needs; 0 is not counted.
    """

    artefact: Path
    slots: int = 8
    memory_bytes: int = 0


@dataclass(frozen=True)
class Settings:
    """The settings of the gateway at its start.

    Attributes:
        triton: the folder of Triton's sockets.
        http: address of the HTTP API.
        grpc: address of our gRPC API and KServe's.
        metrics: address of the page that Prometheus scrapes.
        triton_http: address of Triton's own HTTP API; None: it is off.
        models: the models to serve.
        tables: aliases of models, and which of them are loaded on demand; tables of models that are not served have
            no effect.
        load_timeout_s: seconds to load a model.
        drain_s: seconds that running requests have to finish after SIGTERM.
        timeout_s: maximum seconds of one request.
        max_body_bytes: maximum size of an HTTP body or gRPC message.
        unknown_parameters: what happens to parameters that the gateway has no rule for.
        max_requests: concurrent requests; each answer counts as one. More are rejected before they use resources.
        body_timeout_s: seconds that a client has to send its body.
        write_timeout_s: seconds that a client may leave its answer unread; then its request is cancelled.
        header_timeout_s: seconds that a connection has for its handshake, and for the headers of each request.
        idle_timeout_s: seconds that a connection may stay open between two requests.
        stream_head_after_s: seconds after which a stream sends its status even without a first token.
        stream_ping_s: seconds after which a stream that sent nothing sends a keep-alive comment.
        cors_origins: origins of web pages that may use the HTTP APIs.
        hosts: host names, besides private names and the configured host, that plain HTTP requests may have.
        proxies: addresses and networks of proxies, whose header X-Forwarded-For names their client.
        open_health: whether KServe's health calls need no key.
        max_connections: concurrent HTTP connections; a further connection closes the one that has been idle longest.
        schema_retries: how often a complete answer that breaks its schema is asked for again.
        policy: the access policy: keys and certificates.
        limits: the limits of access control.
        socket: path of the operator's Unix socket; None: there is none.
        layout: the box's folders, which contain the operator's decisions; None: there are no decisions.
        page_history: whether the chat page may keep conversations in the browser, if its user switches this on.
    """

    triton: Path
    http: Address
    grpc: Address
    models: tuple[OfferedModel, ...]
    metrics: Address
    tables: tuple[ModelConfig, ...] = ()
    load_timeout_s: float = 300.0
    triton_http: Address | None = None
    drain_s: float = 30.0
    timeout_s: float = 3600.0
    max_body_bytes: int = 4 << 20
    unknown_parameters: UnknownParameters = "ignore"
    max_requests: int = 1024
    body_timeout_s: float = 30.0
    write_timeout_s: float = 20.0
    header_timeout_s: float = 10.0
    idle_timeout_s: float = 30.0
    stream_head_after_s: float = 3.0
    stream_ping_s: float = 4.0
    cors_origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    open_health: bool = False
    max_connections: int = 16384
    schema_retries: int = 1
    policy: Policy = field(default_factory=Policy)
    limits: DoorLimits = field(default_factory=DoorLimits)
    socket: Path | None = None
    layout: Layout | None = None
    page_history: bool = True

    @property
    def is_exposed(self) -> bool:
        """Whether other machines can reach the gateway."""
        return self.is_proxied or not all(address.is_loopback for address in self.addresses)

    @property
    def is_proxied(self) -> bool:
        """Whether there is a proxy in front, which other machines can reach."""
        return bool(self.hosts or self.proxies)

    @property
    def addresses(self) -> tuple[Address, ...]:
        """The addresses for clients."""
        return (self.http, self.grpc, *([self.triton_http] if self.triton_http else []))
