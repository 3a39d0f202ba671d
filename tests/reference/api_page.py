"""The page about the APIs, written from the tables that the gateway itself uses. It serves nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import fields

from appliance.artefact.parts import CHARACTERS_A_TOKEN
from appliance.chat_template import budget
from appliance.gateway.error_table import TABLE
from appliance.gateway.http.body_size import MAX_COMMAS, MAX_CONTAINERS, MAX_STRINGS
from appliance.gateway.inference_v1.messages import MAX_MESSAGES
from appliance.gateway.openai.parameters import CHAT, COMPLETIONS, IGNORED, REFUSED
from appliance.gateway.openai.schema import ChatBody, CompletionBody
from appliance.gateway.settings import Settings
from appliance.gateway.triton import methods as kserve
from tests.reference.other_apis import sections
from tests.reference.parameter_table import meaning

_HEAD = """\
# APIs

Written by `make docs` from the code.

The gateway listens on loopback: OpenAI's HTTP API on 127.0.0.1:8080 and a gRPC API on 127.0.0.1:8081, unless
`appliance up` or `appliance.toml` says otherwise. A box without keys lets everybody on its machine in; clients that
insist on a key may send any then. [access.md](access.md) says how to make keys and certificates, and open the box to a
network; the URLs below begin with `https://` then.

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
| `POST /v1/responses` | OpenAI's newer API: [below](#responses) |
| `POST /v1/messages` | Anthropic's API: [below](#messages) |
| `POST /v1/tokenize`, `POST /v1/detokenize`, `GET /v1/models/{name}/queue` | [tokens and waits](#tokens-and-waits) |
| `POST /v1/embeddings` | refused until an embedding model is installed |
| `GET /openapi.json` | this API in OpenAPI's form |
| `GET /v1/models`, `GET /v1/models/{name}` | the models, in the client's form; `max_model_len` is their context |
| `GET /metrics` | the figures of the box, for the scope `read`: [metrics.md](metrics.md) |
| `GET /` | the page for people: a chat in the browser; its parts are under `/page/` and need no key |
| `GET /health/live` | 200 while the gateway runs |
| `GET /health/ready` | 200 while a request would be taken: Triton answers, the model is loaded, nothing is draining |

Plain HTTP is answered under an IP address, a name without a dot or a private one (`localhost`, `.local`, `.internal`,
`.home.arpa`); other names in `Host` get 421. There are no CORS headers: pages of other origins cannot use the box.

A request whose end could be read in two ways gets 400, and its connection ends: `Content-Length` beside
`Transfer-Encoding`, lengths that differ, folded headers, lines without CR. A head has at most 16 KiB. A name that
stands twice in an object of a JSON body counts with its last value.

Every answer has an `x-request-id`: the client's own if it is short and plain, else a new one. Anthropic's name of it,
`request-id`, is there too. It is in the gateway's log, one JSON line a request, which never holds a prompt or an
answer. A client that sends `anthropic-version` gets models and errors in Anthropic's form.

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
| `response_format` | the answer follows by construction |
| `strict`, and a keyword that no grammar holds (`uniqueItems`, `not`, …) | refused, with the tool's name and the path |
| such a keyword without `strict` | the rest is held, and headers say so; see below |

The header `appliance-schema-unheld` lists the paths of keywords that the grammar does not hold, such as
`response_format#/properties/tags/uniqueItems` or `my_tool#/not`. The finished answer is looked at beside its schema.
Where it is certain that it breaks it, `appliance-schema-broken` names the format or the tool. A stream's head comes
too early for that header; the gateway's log counts them in `schema_broken` for both. Patterns and formats are not
looked at again, so check what the first header lists.

What does not begin as a call of a tool on offer is text. Small models sometimes leave out the marks of a call
(Qwen2.5-Coder-0.5B does so with `auto`): ask them with `required`, or for a function by its name. Arguments that
turn out to be no JSON arrive as the model wrote them. A tool's `parameters` must be a schema of the type `object`.
Thoughts are in `reasoning_content`; `reasoning_effort: "none"` or `chat_template_kwargs.enable_thinking` turn them off.

A conversation that goes on begins with the bytes that it had, calls included, as far as the template allows: Qwen3's
drops the thoughts of earlier turns, and Qwen2.5's writes exactly one newline before a call.

An answer that its length or a stop string cut ends before half a mark: its text has no marks of calls or thoughts, its
last call has the arguments so far, and Anthropic's `input` what is complete of them. Every such answer is taken back
as a turn: arguments must begin as a JSON object, but they need not be whole.

When the last message is an assistant's text without calls, the answer goes on with it, and has only what is new; the
model does not think again. `continue_final_message: false` or `add_generation_prompt: true` make the answer a turn of
its own. Anthropic's API refuses white space at the end of such a text, as Anthropic does. `response_format` cannot
bind an answer whose beginning is given, and a template that changes the text is refused.

The log-probabilities of a chat's or a response's token have its true bytes, also where it is a part of a character: its
`token` is then `\\xf0\\x9f`. A completion has no bytes, so such a token is called `bytes:\\xf0\\x9f` there.

Control tokens come from the template alone. Where a message, a tool's result, a description, a name or a text to fill
in has the text of one (`<|im_end|>`), it stays that text. The marks that a template writes (`<tool_call>`, `<think>`)
are such texts in what users and tools say; in the words of the system and of the assistant they are tokens, as models
were trained. A plain prompt is the exception: the `prompt` of `/v1/completions` without `suffix`, `Complete`, the
`prompt` of `/v1/tokenize` and KServe's `text_input` are read as they are, so whoever needs a template of his own writes
it there, and never puts a stranger's words into it.

## Access

| | HTTP | gRPC metadata |
|---|---|---|
| API key | `Authorization: Bearer KEY`, or `x-api-key: KEY` | `authorization: Bearer KEY`, or `x-api-key: KEY` |
| client certificate | in place of a key | in place of a key, where the box insists on certificates |

`/health/…` and gRPC's health service are open to all. Models are listed for the scopes `infer` and `read`, all else
needs `infer`; `admin` may do everything. A principal with limits a minute gets OpenAI's `x-ratelimit-limit-requests`,
`-remaining-requests` and `-reset-requests` with each answer, and the same three for `-tokens`. Over gRPC a refusal has
`retry-after` in its trailers.

## Parameters

A parameter that is not in the table is refused by name, unless it is null: null means absent, here and in every object
of a body. *Honoured*: it has its effect. *Ignored*: it passes and cannot change the answer. *Refused*: 400, but for
null and the values named, which ask for nothing. This table is of the first two endpoints; the others have their own.

| parameter | endpoint | treatment | values, meaning |
|---|---|---|---|
"""
_GRPC = """
## gRPC

`appliance.v1.InferenceService` ([schema](../appliance/gateway/proto/appliance/v1/inference.proto)) is ours. Its stubs
come with the wheel, in `appliance.gateway.proto.appliance.v1`; within v1 no field or method is taken back.

| method | answer |
|---|---|
| `Chat`, `Complete` | the answer as a stream; the parameters are those above, with `logprobs` as a number |
| `Tokenize`, `Detokenize` | tokens of a text or conversation, and back; they never wait for the model |
| `ListModels` | the models on offer, whether each is ready, and its context |

Fields that are not in the schema are refused. The client's deadline reaches the engine. `x-request-id` is metadata, and
comes back in the trailers. An error carries `google.rpc.Status`: `ErrorInfo` with the table's `code` in capitals as its
reason, `RequestInfo`, `BadRequest` with the field at fault (also in the trailer `x-error-param`), and `RetryInfo` where
trying again makes sense. The standard health and reflection services are there:

```sh
grpcurl -plaintext 127.0.0.1:8081 list
```

### KServe

`inference.GRPCInferenceService` on the same address lets programs written for Triton in: point `tritonclient` at it.

| methods | treatment |
|---|---|
| {questions} | passed on to Triton, without admission |
| {inference} | checked and passed on, within the limits above; each request of a stream counts alone |
| {administration} | refused: `PERMISSION_DENIED` |
| any other | `UNIMPLEMENTED` |

The tensors are those of Triton's vLLM backend: [triton-contract.md](triton-contract.md). The input `principal` is
refused: who asks is the gateway's to say. So are unknown fields, tensors and outputs, contents that are missing or left
over, and shared memory; `ModelConfig` leaves out what is the operator's. Triton's own errors come through with its
status and words, and those of a stream's request within the stream. A client that leaves or stops reading frees its
slots.

## Leaving

A client that hangs up or cancels frees its slot within one step of the engine. On SIGTERM the gateway takes nothing
new, lets running requests finish for the configured time, tells the rest (`shutting_down`), and exits with 0.
"""
_LIMITS = """
## Limits

The sections `limits` and `principal_limits` of [appliance.toml](configuration.md). A refusal names its limit and costs
nothing: key, scope, rates and the number of requests under way are checked before the body is read.

What one request may hold is bounded, so that no other one waits for it:

| what | at most |
|---|---|
| strings in a JSON body, names of fields included | {strings:,} |
| objects and lists in it | {containers:,} |
| other values in it, such as token ids | {commas:,} |
| messages over gRPC | {messages:,} |
| characters of a prompt or a rendered conversation | {characters} for each token of the model's context |
| computing and memory of the chat template | {cpu_s:g} s of a processor, {memory_mib} MiB |

Each is refused with a 400. A template that is over its bound for every conversation is a faulty one.
"""
_BOUNDS = (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("max_length", "at most"))


def page() -> str:
    """The page as Markdown."""
    rows = sorted([*_honoured(), *_others()])
    table = "".join(f"| `{name}` | {where} | {treatment} | {meaning} |\n" for name, where, treatment, meaning in rows)
    return f"{_HEAD}{table}{sections()}{_errors()}{_limits()}{_grpc()}"


def _grpc() -> str:
    def names(methods: Iterable[str]) -> str:
        return ", ".join(f"`{name}`" for name in sorted(methods))

    return _GRPC.format(
        questions=names(kserve.QUESTIONS),
        inference=names((kserve.INFER, kserve.STREAM)),
        administration=names(kserve.ADMINISTRATION),
    )


def _honoured() -> Iterator[tuple[str, str, str, str]]:
    chat, completions = ChatBody.model_fields, CompletionBody.model_fields
    for name in {**chat, **completions}:
        both = [kind[name] for kind in (chat, completions) if name in kind]
        meanings = [meaning(info) for info in both]
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
    timeout_s = next(one.default for one in fields(Settings) if one.name == "timeout_s")
    bounds = _LIMITS.format(
        strings=MAX_STRINGS,
        containers=MAX_CONTAINERS,
        commas=MAX_COMMAS,
        messages=MAX_MESSAGES,
        characters=CHARACTERS_A_TOKEN,
        cpu_s=budget.CPU_S,
        memory_mib=budget.MEMORY_BYTES >> 20,
    )
    return f"{bounds}One request may take {timeout_s:g} s.\n"
