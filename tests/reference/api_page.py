"""The page about the APIs, written from the tables that the gateway itself uses. It serves nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields

from appliance.artefact.parts import CHARACTERS_A_TOKEN
from appliance.chat_template import budget
from appliance.errors import ApplianceError
from appliance.gateway.error_table import TABLE
from appliance.gateway.http.body_size import MAX_COMMAS, MAX_CONTAINERS, MAX_STRINGS
from appliance.gateway.inference_v1.messages import MAX_MESSAGES
from appliance.gateway.openai.parameters import CHAT, COMPLETIONS, POLICIES
from appliance.gateway.openai.schema import ChatBody, CompletionBody
from appliance.gateway.settings import Settings
from appliance.gateway.triton import methods as kserve
from tests.reference.endpoint_table import endpoint_table
from tests.reference.other_apis import sections
from tests.reference.parameter_table import field_table, grouped, rows

_HEAD = """\
# APIs

`make docs` generates this page from the code.

The gateway listens on loopback: the HTTP API (OpenAI, Anthropic, Ollama) on 127.0.0.1:8080 and the gRPC API on
127.0.0.1:8081.
`appliance up` and `appliance.toml` can change these addresses. If the box has no API keys, every user of its machine
can use it; clients that require a key can then send any text as key. [access.md](access.md) describes how to create
keys and certificates and how to open the box to a network. The URLs below then begin with `https://`.

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

"""
_PATHS = """
The paths under `/v1` are also served without `/v1`, for clients whose base URL does not contain it. A slash at the end
of a path changes nothing. Each `GET` path also supports `HEAD`, and each path supports `OPTIONS`.

Plain HTTP requests must use an IP address, a name without a dot or a private name (`localhost`, `.local`, `.internal`,
`.home.arpa`) as `Host`, or a name in `[serve] hosts`. Other names get status 421. Web pages of other origins cannot use
the box, except the origins in `[serve] cors_origins`: these get CORS headers and answers to preflight requests.

The gateway rejects requests whose length is ambiguous with status 400 and closes the connection: `Content-Length`
together with `Transfer-Encoding`, different lengths, folded headers, lines without CR. The headers of a request can
have at most 16 KiB. If a JSON object has the same name twice, the last value counts.

A request body can be compressed: `Content-Encoding: gzip`. All limits apply to the decompressed body. Other codings get
status 415, with the header `Accept-Encoding: gzip`. Responses are not compressed.

Each response has an `x-request-id`: the client's own id if it is short and has only plain characters, else a new id.
Anthropic's header `request-id` has the same value. The gateway's log also contains the id. The log has one JSON line
for each request, with the address of the client, and never contains a prompt or an answer. A client that sends
`anthropic-version` gets models and errors in Anthropic's format.

With `"stream": true`, the response is a stream of server-sent events that ends with `data: [DONE]`. The gateway sends
the status together with the first token, but not later than after 3 s. An error of the engine before that has its own
status. If a stream fails later, its last event is `data: {"error": …}` without a `[DONE]`. While a stream waits, it
sends the comment `: waiting` every 4 s (`stream_ping_s`), Anthropic's event `ping`, or a line of Ollama's API without
text, so that clients and proxies keep the connection. Clients ignore them. A response that is not streamed cannot do
this: [proxies.md](proxies.md).

Besides tokens, the `usage` of a response contains times in seconds: `queue_time`, `prompt_time`, `completion_time`,
`total_time`. `completion_tokens_details` has the tokens of drafts that the engine verified
([speculation.md](decisions/speculation.md)): accepted tokens are part of the completion. Rejected tokens are not, and
`completion_tokens` does not count them. With `n`, the tokens are the sum of all answers, and the times are those of the
slowest answer.

## Tools, response formats and thinking

The manifest of a model (`conversation`, from the catalogue entry) defines how the model writes tool calls, and whether
it can think. If the manifest does not define tool calls, requests with tools fail. If the artefact is old, update it
with `appliance model pull NAME` and `appliance export NAME`.

| request | result |
|---|---|
| `tools`, `tool_choice: "auto"` | the model decides freely; the gateway parses its tool calls and streams them |
| a `strict` tool, `parallel_tool_calls: false` | text is free; the grammar restricts each tool call |
| `tool_choice: "required"`, or a function | only tool calls; their arguments always match their schemas |
| `tool_choice: "none"` | no tool calls; the tools stay in the prompt, so its cached prefix can be reused |
| `response_format` | the answer always matches the format |
| `structured_outputs` and the other names of a grammar | the answer always matches; schemas are strict, see below |
| `properties` without `additionalProperties` | no other properties; `additionalProperties: true` allows them |
| `strict`, and a keyword that cannot be enforced (`uniqueItems`, `not`, …) | an error with tool name and path |
| such a keyword without `strict` | the grammar enforces the rest of the schema; response headers report it, see below |

For example, with the Python client, which parses the answer:

```python
from pydantic import BaseModel


class City(BaseModel):
    name: str
    country: str


answer = client.chat.completions.parse(
    model="qwen2.5-coder-0.5b-instruct",
    messages=[{"role": "user", "content": "Where is the Eiffel tower?"}],
    response_format=City,
)
print(answer.choices[0].message.parsed)
```

Only one parameter can restrict the text: `response_format`, `structured_outputs`, `guided_json`, `guided_regex`,
`guided_choice`, `guided_grammar`, `grammar` or `json_schema`. A regex, a choice or a grammar cannot be combined with
tool calls that a grammar enforces, or with a model that thinks first.

The header `appliance-schema-unheld` lists the paths of keywords that the grammar does not enforce, such as
`response_format#/properties/tags/uniqueItems` or `my_tool#/not`. The gateway checks the complete answer against its
schema. If the answer certainly violates the schema, the gateway asks the model again with another seed, at most
`serve.schema_retries` times; the header `appliance-schema-retries` has the number. `usage` then contains the tokens
and times of all these answers, and they count against the limits. If the last answer violates the schema too, the
header `appliance-schema-broken` names the format or the tool. Streams, answers with temperature 0 and requests with `n`
above 1 are not retried. A stream has only the first header, because it sends its headers first. The gateway's log
counts both cases in `schema_broken`. The gateway does not check patterns and formats again, so check the keywords in
the first header yourself. [schemas.md](schemas.md) lists what pydantic's and zod's schemas contain.

Output that does not begin as a call of one of the tools is text. Small models often omit the marks of a tool call and
write it as JSON, mostly in a code fence. With `auto` and without a response format, such an answer is a tool call if it
contains nothing else ([tools.md](tools.md) has the rules and measures them). `required` or the name of a function is
more reliable. If the arguments of a marked call are not valid JSON, the client receives them as the model wrote them. A
tool's `parameters` must be a schema of type `object`. The thinking of a model is in `reasoning_content`.
`reasoning_effort: "none"` or `chat_template_kwargs.enable_thinking` switch it off.

The prompt of the next turn of a conversation begins with the same bytes as the previous one, including tool calls, as
far as the template allows. Qwen3's template removes the thinking of earlier turns, and Qwen2.5's template writes
exactly one newline before a tool call.

If a length limit or a stop string cuts an answer, the answer ends before an incomplete mark. Its text contains no marks
of tool calls or thinking. Its last tool call has the arguments so far, and Anthropic's `input` has the complete part of
them. Clients can send each such answer back as a turn: arguments must begin as a JSON object, but they can be
incomplete.

If the last message is an assistant's text without tool calls, the model continues this text. The answer contains only
the new text, and the model does not think again. `continue_final_message: false` or `add_generation_prompt: true` start
a new turn instead. Anthropic's API rejects white space at the end of such a text; the box does the same.
`response_format` cannot be combined with such a text. If the chat template changes the text, the request fails.

The log-probabilities of chat and responses contain the exact bytes of each token. If a token is only a part of a
character, its `token` is, for example, `\\xf0\\x9f`. Completions have no bytes; there, the name of such a token is
`bytes:\\xf0\\x9f`.

Only the chat template can create control tokens. If a message, a tool's result, a description, a name or a text to fill
in contains the text of a control token (`<|im_end|>`), the box encodes it as plain text. The marks of a template
(`<tool_call>`, `<think>`) are also plain text if users or tools write them. In system and assistant messages they are
tokens, as in the training of the models. Plain prompts are different: the box encodes control tokens in the `prompt` of
`/v1/completions` without `suffix`, in `Complete`, in the `prompt` of `/v1/tokenize` and in KServe's `text_input`. Use
them if you write the template yourself, and never put text from an untrusted person into them.

## Completions for evaluation

`lm_eval` (lm-evaluation-harness) and other programs score texts: they ask for the log-probability of each token of a
prompt. `lm_eval` finds the tokenizer of the model at the box, so it needs no other server:

```sh
lm_eval --model local-completions --tasks TASK --batch_size 8 \\
  --model_args base_url=http://127.0.0.1:8080/v1/completions,model=qwen2.5-coder-0.5b-instruct
```

```python
scored = client.completions.create(
    model="qwen2.5-coder-0.5b-instruct",
    prompt=["The capital of France is Paris", "The capital of France is Rome"],
    echo=True,
    logprobs=1,
    max_tokens=0,
)
for choice in scored.choices:
    print(sum(choice.logprobs.token_logprobs[1:]))
```

- With several prompts, the answers to prompt `p` have the indexes from `p * n`. Each answer counts as a request in the
  limits of a principal. Each prompt uses the `seed` of the request. `usage` is the sum.
- With `echo` and `logprobs`, the answer begins with the prompt's tokens. The first token has no log-probability
  (`null`). A text prompt is repeated as it was sent; tokens are repeated as their text, special tokens by their names.
- `prompt_logprobs` returns the same figures in vLLM's format: in each choice of completions, and at the top level of a
  chat. A stream cannot contain them; `echo` with `logprobs` can be streamed.
- A request for the log-probabilities of its prompt does not reuse a cached prefix. It can have at most 131,072 of them
  (tokens of the prompt times the number of alternatives + 1). Outside the 512 most probable tokens, presets with a
  4-bit head have 4-bit accuracy.
- An answer that is not streamed can have at most 524,288 log-probabilities of its own tokens (tokens of all answers
  times the number of alternatives + 1).
- `max_tokens: 0` without `echo` returns an empty answer; the prompt is then a cached prefix for later requests.
- `bad_words` and `allowed_token_ids` cannot be combined with a schema or a grammar, which alone decides which tokens
  are allowed.

## Access

| | HTTP | gRPC metadata |
|---|---|---|
| API key | `Authorization: Bearer KEY`, or `x-api-key: KEY` | `authorization: Bearer KEY`, or `x-api-key: KEY` |
| client certificate | instead of a key | instead of a key, if the box requires certificates |

If the box requires keys, each request needs one with the scope of the [table of endpoints](#endpoints). Requests that
are not in the table need `infer`. A key with `admin` permits everything. Over gRPC, the health service needs no key;
the list of models and the reflection service need `infer` or `read`. KServe's `ServerLive`, `ServerReady` and
`ModelReady` need a key, unless `[serve] open_health` is true: then clients such as `tritonclient` can check the box
without a key. Their paths `/v2/health/live` and `/v2/health/ready` never need one.

If a principal has limits per minute, each response contains
OpenAI's headers `x-ratelimit-limit-requests`, `-remaining-requests` and `-reset-requests`, and the same three for
`-tokens`. Over gRPC, a rejected request has `retry-after` in its trailers.

## Parameters

Clients send parameters of many servers. The box has a rule for each class of parameter:

- *supported*: the parameter has its effect.
- *as `x`*: it is another server's name for the parameter `x`. If a request has both with different values, it fails.
- *ignored*: a hint without effect. The request succeeds, and the response names the parameter in the header
  `appliance-ignored-parameters`.
- *rejected*: it would change the meaning or the safety of the answer, and the box does not support it. The request
  fails with status 400, except with the listed values, which request nothing.
- A parameter without a rule, in the body or inside of its objects, is ignored and named in the same header. With
  `unknown_parameters = "refuse"` in the section `serve` of [appliance.toml](configuration.md), the request fails.

A misspelt name is a parameter without a rule. To find it, read the header: Python clients have it in the result of
`client.chat.completions.with_raw_response.create(…)`, in `.headers`.

Null means absent, for all parameters and in all objects of a body. Over gRPC, unknown fields are errors.
This table is for the first two endpoints; the other endpoints have their own tables.

| parameter | endpoint | status | values, meaning |
|---|---|---|---|
"""
_INSIDE = """
Fields inside of the objects of a body, of all APIs, that have no effect:

"""
_GRPC = """
## gRPC

`appliance.v1.InferenceService` ([schema](../appliance/gateway/proto/appliance/v1/inference.proto)) is our own API. Its
stubs are in the wheel, in `appliance.gateway.proto.appliance.v1`. Within v1, no field or method will be removed.

| method | response |
|---|---|
| `Chat`, `Complete` | the answer as a stream; the parameters are those above, with `logprobs` as a number |
| `Tokenize`, `Detokenize` | tokens of a text or conversation, and the text of tokens; without a wait for the model |
| `ListModels` | the models, whether each is ready, and its context length |

Fields that are not in the schema are errors. The engine respects the client's deadline. `x-request-id` is metadata; the
trailers of the response contain it too. An error contains `google.rpc.Status`: `ErrorInfo` with the `code` of the table
in capital letters as its reason, `RequestInfo`, `BadRequest` with the invalid field (also in the trailer
`x-error-param`), and `RetryInfo` if a retry can succeed. The standard health and reflection services are available:

```sh
grpcurl -plaintext 127.0.0.1:8081 list
```

### KServe

`inference.GRPCInferenceService` is available on the same address, for programs written for Triton such as
`tritonclient`.

| methods | handling |
|---|---|
| {questions} | forwarded to Triton, without admission control |
| {inference} | checked and forwarded, within the limits above; each request of a stream counts separately |
| {administration} | rejected with `PERMISSION_DENIED` |
| any other | `UNIMPLEMENTED` |

The tensors are those of Triton's vLLM backend: [triton-contract.md](triton-contract.md). Clients cannot send the input
`principal`, because the gateway sets it. The gateway also rejects unknown fields, tensors and outputs, missing or
surplus contents, and shared memory. `ModelConfig` does not show the operator's settings. Triton's own errors keep their
status and message; an error of a stream's request comes within the stream. If a client disconnects or stops reading,
its slots become free.

## Cancellation and shutdown

If a client disconnects or cancels, its slot becomes free within one step of the engine. On SIGTERM, the gateway accepts
no new requests, lets running requests finish for the configured time, sends `shutting_down` to the rest, and exits with
code 0.
"""
_LIMITS = """
## Limits

The sections `limits` and `principal_limits` of [appliance.toml](configuration.md) set limits. An error of a limit names
the limit. The gateway checks key, scope, rates and concurrent requests before it reads the body, so a rejected request
costs almost nothing.

The size of a single request is limited too, so that it cannot delay other requests:

| what | maximum |
|---|---|
| strings in a JSON body, including names of fields | {strings:,} |
| objects and lists in it | {containers:,} |
| other values in it, such as token ids | {commas:,} |
| messages over gRPC | {messages:,} |
| characters of a prompt or a rendered conversation | {characters} for each token of the model's context |
| CPU time and memory of the chat template | {cpu_s:g} s, {memory_mib} MiB |

A request above one of these limits fails with status 400. If a template exceeds its limit for every conversation, the
template is faulty.
"""


def page() -> str:
    """The page as Markdown."""
    table = "".join(f"| {' | '.join(row)} |\n" for row in grouped(_rows()))
    return (
        f"{_HEAD}{endpoint_table()}{_PATHS}{table}{_INSIDE}{field_table()}{sections()}{_errors()}{_limits()}{_grpc()}"
    )


def _grpc() -> str:
    def names(methods: Iterable[str]) -> str:
        return ", ".join(f"`{name}`" for name in sorted(methods))

    return _GRPC.format(
        questions=names(kserve.QUESTIONS),
        inference=names((kserve.INFER, kserve.STREAM)),
        administration=names(kserve.ADMINISTRATION),
    )


def _rows() -> Iterator[tuple[str, str, str, str]]:
    """The parameters of chat and completions; a parameter that is the same in both has one row."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for where, kind in ((CHAT, ChatBody), (COMPLETIONS, CompletionBody)):
        for row in rows(kind, POLICIES[where]):
            found.setdefault(row, []).append(where)
    for (name, how, meaning), endpoints in found.items():
        yield name, "both" if len(endpoints) > 1 else endpoints[0], how, meaning


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
        'OpenAI\'s format: `{"error": {"message", "type", "param", "code"}}`; `param` names the invalid field.',
        f"Responses with status {retried} contain `Retry-After`.",
        "",
        "| HTTP | gRPC | `code` | meaning |",
        "|---|---|---|---|",
        *rows,
    ]
    return "\n".join(lines) + "\n"


def _first_line(kind: type) -> str:
    if kind is ApplianceError:
        return "Any other failure of the box."
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
    return f"{bounds}The maximum time of one request is {timeout_s:g} s.\n"
