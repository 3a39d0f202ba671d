"""Every metric of the gateway: name, kind, labels, meaning. It counts nothing.

Names, labels and buckets follow OpenTelemetry's semantic conventions for generative AI, if these define the metric, in
Prometheus' format: dots become underscores, and the unit is appended.
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.metrics.names import Kind, reference

_OPERATION, _MODEL = "gen_ai_operation_name", "gen_ai_request_model"
_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144)


@dataclass(frozen=True)
class Measure:
    """One metric.

    Attributes:
        name: the name in Prometheus' format.
        kind: see Kind.
        meaning: one line.
        labels: names of the labels; every value comes from a closed set.
        buckets: upper bounds of the buckets, for a histogram.
    """

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


DURATION = Measure(
    "gen_ai_server_request_duration_seconds",
    Kind.HISTOGRAM,
    "Time from a completion request to the last byte of its response; `error_type` is empty on success",
    (_OPERATION, _MODEL, "error_type"),
    _SECONDS,
)
FIRST_TOKEN = Measure(
    "gen_ai_server_time_to_first_token_seconds",
    Kind.HISTOGRAM,
    "Time from a request to the first part of its streamed answer (TTFT)",
    (_OPERATION, _MODEL),
    (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0),
)
PER_TOKEN = Measure(
    "gen_ai_server_time_per_output_token_seconds",
    Kind.HISTOGRAM,
    "Mean time between the tokens of an answer (ITL), measured by the engine",
    (_OPERATION, _MODEL),
    (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5),
)
TOKENS = Measure(
    "gen_ai_client_token_usage",
    Kind.HISTOGRAM,
    "Tokens of a prompt (`input`) and of its completion (`output`)",
    (_OPERATION, _MODEL, "gen_ai_token_type"),
    _TOKENS,
)
QUEUE = Measure(
    "appliance_gateway_queue_seconds",
    Kind.HISTOGRAM,
    "Time that a request waited for a slot, measured by the engine",
    (_MODEL,),
    (0.001, 0.01, *_SECONDS[3:]),
)
CACHED = Measure(
    "appliance_gateway_cached_tokens_total",
    Kind.COUNTER,
    "Prompt tokens found in the prefix cache",
    (_OPERATION, _MODEL),
)
REQUESTS = Measure(
    "appliance_gateway_requests_total",
    Kind.COUNTER,
    "Finished requests; `outcome`: `ok`, `refused` (error of the client), `failed` (error of the box), `cancelled`",
    ("endpoint", "outcome"),
)
REFUSALS = Measure(
    "appliance_gateway_refusals_total",
    Kind.COUNTER,
    "Requests with an error, by the name of the error",
    ("reason",),
)
IN_FLIGHT = Measure("appliance_gateway_requests_in_flight", Kind.GAUGE, "Concurrent completion requests")
READY = Measure("appliance_gateway_model_ready", Kind.GAUGE, "1 while the model accepts requests", (_MODEL,))
TRITON_UP = Measure("appliance_gateway_triton_up", Kind.GAUGE, "1 if the page contains Triton's own metrics")

MEASURES = (
    DURATION,
    FIRST_TOKEN,
    PER_TOKEN,
    TOKENS,
    QUEUE,
    CACHED,
    REQUESTS,
    REFUSALS,
    IN_FLIGHT,
    READY,
    TRITON_UP,
)

_HEAD = """\
# Metrics

`make docs` generates this page from the code.

The gateway serves all metrics on one page at a separate address: `http://127.0.0.1:8083/metrics`. `appliance up` and
`appliance.toml` can change this address. It has no other path. Labels never contain text from clients. From other
machines, read the same page at `/metrics` of the HTTP API, with a key that has the scope `read` or `admin`.

```yaml
scrape_configs:
  - job_name: appliance
    static_configs:
      - targets: ["127.0.0.1:8083"]
```

[grafana/appliance.json](grafana/appliance.json) is a Grafana dashboard for these metrics.

## Metrics of the gateway

The names follow OpenTelemetry's conventions for generative AI, if they define one: OpenTelemetry's
`gen_ai.server.time_to_first_token` is `gen_ai_server_time_to_first_token_seconds` here. `gen_ai_operation_name` is
`chat` or `text_completion`. `endpoint` is a path of the HTTP API, a gRPC method or `other`. The page also has the usual
`process_…` metrics of the gateway process.

| metric | kind | labels | meaning |
|---|---|---|---|
"""
_TAIL = """
## Metrics of Triton

The page contains Triton's own `nv_inference_…` metrics without changes. While Triton does not answer, its metrics and
the engine's metrics are absent. Triton counts two requests for each stream of the gateway, because the gateway opens a
stream with a request that has no response.
"""


def page() -> str:
    """The metric page as Markdown."""
    rows = [
        f"| `{each.name}` | {each.kind.value} | {', '.join(f'`{name}`' for name in each.labels)} | {each.meaning} |\n"
        for each in MEASURES
    ]
    return f"{_HEAD}{''.join(rows)}\n{reference()}{_TAIL}"
