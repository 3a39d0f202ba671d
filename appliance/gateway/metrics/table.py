"""Every metric of the gateway: name, kind, labels, meaning. It counts nothing.

Names, labels and buckets are those of OpenTelemetry's semantic conventions for generative AI, metrics, where there are
any, in Prometheus' form: dots become underscores, and the unit is appended.
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
        name: in the exposition.
        kind: see Kind.
        meaning: one line.
        labels: their names; every value comes from a closed set.
        buckets: upper bounds of a histogram's.
    """

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


DURATION = Measure(
    "gen_ai_server_request_duration_seconds",
    Kind.HISTOGRAM,
    "From a request for a completion to the last byte of its answer; `error_type` is empty when it went well",
    (_OPERATION, _MODEL, "error_type"),
    _SECONDS,
)
FIRST_TOKEN = Measure(
    "gen_ai_server_time_to_first_token_seconds",
    Kind.HISTOGRAM,
    "From a request to the first piece of its streamed answer (TTFT)",
    (_OPERATION, _MODEL),
    (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0),
)
PER_TOKEN = Measure(
    "gen_ai_server_time_per_output_token_seconds",
    Kind.HISTOGRAM,
    "Mean time between the tokens of an answer (ITL), as the engine measured it",
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
    "Time that a request waited for a slot, as the engine measured it",
    (_MODEL,),
    (0.001, 0.01, *_SECONDS[3:]),
)
CACHED = Measure(
    "appliance_gateway_cached_tokens_total",
    Kind.COUNTER,
    "Prompt tokens that were found in the prefix cache",
    (_OPERATION, _MODEL),
)
REQUESTS = Measure(
    "appliance_gateway_requests_total",
    Kind.COUNTER,
    "Requests that ended; `outcome` is `ok`, `refused` (the client's fault), `failed` (ours) or `cancelled`",
    ("endpoint", "outcome"),
)
REFUSALS = Measure(
    "appliance_gateway_refusals_total",
    Kind.COUNTER,
    "Requests that did not go well, by the name of the error",
    ("reason",),
)
IN_FLIGHT = Measure("appliance_gateway_requests_in_flight", Kind.GAUGE, "Requests for completions under way")
READY = Measure("appliance_gateway_model_ready", Kind.GAUGE, "1 while the model takes requests", (_MODEL,))
TRITON_UP = Measure(
    "appliance_gateway_triton_up", Kind.GAUGE, "1 if Triton's own metrics could be read and are on this page"
)

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

Written by `make docs` from the code.

One scrape of the gateway's own listener has all of them: `http://127.0.0.1:8083/metrics`, unless `appliance up` or
`appliance.toml` says otherwise. It has no other path, and no label ever holds what a client wrote. From elsewhere the
same page is at `/metrics` of the HTTP API, for a key with the scope `read` or `admin`.

```yaml
scrape_configs:
  - job_name: appliance
    static_configs:
      - targets: ["127.0.0.1:8083"]
```

A dashboard for Grafana that uses them is [grafana/appliance.json](grafana/appliance.json).

## The gateway's

Names follow OpenTelemetry's conventions for generative AI where they exist: `gen_ai.server.time_to_first_token` is
`gen_ai_server_time_to_first_token_seconds` here. `gen_ai_operation_name` is `chat` or `text_completion`. `endpoint` is
a path of the HTTP API or a gRPC method, or `other`. The process itself has the usual `process_…` metrics.

| metric | kind | labels | meaning |
|---|---|---|---|
"""
_TAIL = """
## Triton's own

Triton's `nv_inference_…` metrics stand on the same page as Triton wrote them. While it does not answer they are absent,
and so are the engine's. Triton counts two requests for each stream of the gateway: the gateway opens a stream with a
request that has no answer.
"""


def page() -> str:
    """The metric page as Markdown."""
    rows = [
        f"| `{each.name}` | {each.kind.value} | {', '.join(f'`{name}`' for name in each.labels)} | {each.meaning} |\n"
        for each in MEASURES
    ]
    return f"{_HEAD}{''.join(rows)}\n{reference()}{_TAIL}"
