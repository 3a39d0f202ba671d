"""The page about the APIs, written from the tables that the gateway itself uses. It serves nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from pydantic.fields import FieldInfo

from appliance.gateway.error_table import TABLE
from appliance.gateway.openai.parameters import CHAT, COMPLETIONS, IGNORED, REFUSED
from appliance.gateway.openai.schema import ChatBody, CompletionBody
from appliance.gateway.settings import Settings

_HEAD = """\
# APIs

Written by `make docs` from the code.

The gateway listens on loopback alone: OpenAI's HTTP API on 127.0.0.1:8080 and a gRPC API on 127.0.0.1:8081, unless
`appliance up` or `appliance.toml` says otherwise. There are no keys yet; clients that insist on one may send any.

```sh
curl http://127.0.0.1:8080/v1/chat/completions -H 'Content-Type: application/json' \\
  -d '{"model": "qwen2.5-coder-0.5b-instruct", "messages": [{"role": "user", "content": "Hello"}], "stream": true}'
```

```python
from openai import OpenAI

client = OpenAI(base_url="http://127.0.0.1:8080/v1", api_key="unused")
for chunk in client.chat.completions.create(
    model="qwen2.5-coder-0.5b-instruct", stream=True, messages=[{"role": "user", "content": "Hello"}]
):
    print(chunk.choices[0].delta.content or "", end="")
```

## Endpoints

| request | answer |
|---|---|
| `POST /v1/chat/completions` | the answer to a conversation, rendered with the model's own chat template |
| `POST /v1/completions` | the continuation of a prompt, given as text or token ids |
| `POST /v1/embeddings` | refused until an embedding model is installed |
| `GET /openapi.json` | this API in OpenAPI's form |
| `GET /v1/models`, `GET /v1/models/{name}` | the models on offer; `max_model_len` is the model's own context |
| `GET /health/live` | 200 while the gateway runs |
| `GET /health/ready` | 200 while a request would be taken: Triton answers, the model is loaded, nothing is draining |

Every answer has an `x-request-id`: the client's own if it is short and plain, else a new one. It is in the gateway's
log too, one JSON line a request, which never holds a prompt or an answer.

With `"stream": true` the answer is server-sent events that end with `data: [DONE]`. The status comes with the first
token, so that a refusal by the engine has a status of its own. When a stream fails later, its last event is
`data: {"error": …}`, and no `[DONE]` follows.

An answer's `usage` has, beside the tokens, seconds: `queue_time`, `prompt_time`, `completion_time`, `total_time`. With
`n`, tokens are added up and seconds are the slowest answer's.

## Tools, formats, thoughts

How a model writes tool calls, and whether it thinks, is in its manifest (`conversation`, from the catalogue entry).
Where it says nothing, tools are refused; `appliance model pull NAME` and `appliance export NAME` bring an older
artefact up to date.

| asked for | what happens |
|---|---|
| `tools`, `tool_choice: "auto"` | the model writes what it likes; its calls are read and streamed as it writes them |
| a `strict` tool, `parallel_tool_calls: false` | words are free; calls are bound by construction |
| `tool_choice: "required"`, or a function | calls and nothing else, their arguments by their schemas |
| `tool_choice: "none"` | no calls; the tools stay in the prompt, so that a conversation keeps its prefix |
| `response_format` | the answer follows by construction; what cannot be honoured is refused before the first token |

What does not begin as a call of a tool on offer is text. Arguments that turn out to be no JSON arrive as the model
wrote them. Thoughts are in `reasoning_content`; `reasoning_effort: "none"` or `chat_template_kwargs.enable_thinking`
turn them off.

A conversation that goes on begins with the bytes that it had, calls included, as far as the template allows: Qwen3's
drops the thoughts of earlier turns, and Qwen2.5's writes exactly one newline before a call.

## Parameters

A parameter that is not in this table is refused by name. *Honoured*: it has its effect. *Ignored*: it passes and cannot
change the answer. *Refused*: 400, but for null and the values named, which ask for nothing.

| parameter | endpoint | treatment | values, meaning |
|---|---|---|---|
"""
_GRPC = """
## gRPC

`appliance.v1.InferenceService` ([schema](../appliance/gateway/proto/appliance/v1/inference.proto)) has `Chat` and
`Complete`, which stream the answer. The parameters are those above with `logprobs` as a number; fields that are not in
the schema are refused. The client's deadline reaches the engine. `x-request-id` is metadata, and comes back in the
trailers with `x-error-param`, the field at fault. The standard health and reflection services are there:

```sh
grpcurl -plaintext 127.0.0.1:8081 list
```

## Leaving

A client that hangs up or cancels frees its slot within one step of the engine. On SIGTERM the gateway takes nothing
new, lets running requests finish for the configured time, tells the rest (`shutting_down`), and exits with 0.
"""
_BOUNDS = (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("max_length", "at most"))
_LIMITS = {
    "timeout_s": "seconds that one request may take",
    "max_body_bytes": "bytes of a request's body",
    "body_timeout_s": "seconds that a client has to send it",
    "max_requests": "requests under way at once; the engine's queue has a limit of its own",
    "write_timeout_s": "seconds that a client may leave its answer unread",
}


def page() -> str:
    """The page as Markdown."""
    rows = sorted([*_honoured(), *_others()])
    table = "".join(f"| `{name}` | {where} | {treatment} | {meaning} |\n" for name, where, treatment, meaning in rows)
    return f"{_HEAD}{table}{_errors()}{_limits()}{_GRPC}"


def _honoured() -> Iterator[tuple[str, str, str, str]]:
    chat, completions = ChatBody.model_fields, CompletionBody.model_fields
    for name in {**chat, **completions}:
        both = [kind[name] for kind in (chat, completions) if name in kind]
        meanings = [_meaning(info) for info in both]
        if len(set(meanings)) == 1:
            yield name, _where(name in chat, name in completions), "honoured", meanings[0]
        else:
            yield name, CHAT, "honoured", meanings[0]
            yield name, COMPLETIONS, "honoured", meanings[1]


def _others() -> Iterator[tuple[str, str, str, str]]:
    for name, refused in REFUSED.items():
        passes = ", ".join(f"`{json.dumps(value)}`" for value in refused.neutral)
        where = _where(CHAT in refused.endpoints, COMPLETIONS in refused.endpoints)
        yield name, where, "refused", refused.why + (f"; but {passes}" if passes else "")
    for name, ignored in IGNORED.items():
        yield name, _where(CHAT in ignored.endpoints, COMPLETIONS in ignored.endpoints), "ignored", ignored.why


def _where(in_chat: bool, in_completions: bool) -> str:
    return "both" if in_chat and in_completions else CHAT if in_chat else COMPLETIONS


def _meaning(info: FieldInfo) -> str:
    bounds = [text for rule in info.metadata if (text := _bound(rule))]
    return "; ".join(part for part in (", ".join(bounds), info.description) if part)


def _bound(rule: Any) -> str:
    """One of pydantic's constraints in words; empty for those that the description already tells."""
    return next((f"{words} {getattr(rule, name)}" for name, words in _BOUNDS if hasattr(rule, name)), "")


def _errors() -> str:
    rows = [
        f"| {row.http} | `{row.grpc.name}` | {f'`{row.code}`' if row.code else ''} | {_first_line(kind)} |"
        for kind, row in sorted(TABLE.items(), key=lambda pair: (pair[1].http, pair[1].code))
    ]
    retried = ", ".join(sorted({str(row.http) for row in TABLE.values() if row.retry_after_s is not None}))
    lines = [
        "",
        "## Errors",
        "",
        'In OpenAI\'s shape: `{"error": {"message", "type", "param", "code"}}`; `param` names the field at fault.',
        f"{retried} come with `Retry-After`.",
        "",
        "| HTTP | gRPC | `code` | meaning |",
        "|---|---|---|---|",
        *rows,
    ]
    return "\n".join(lines) + "\n"


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0]


def _limits() -> str:
    defaults = {one.name: one.default for one in fields(Settings)}
    rows = [f"| {defaults[name]:.0f} | {meaning} |" for name, meaning in _LIMITS.items()]
    return "\n".join(["", "## Limits", "", "| limit | of |", "|---|---|", *rows]) + "\n"
