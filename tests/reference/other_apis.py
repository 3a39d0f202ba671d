"""The parts of the page about the APIs that tell of all APIs but OpenAI's chat and completions. It serves nothing."""

from __future__ import annotations

from appliance.gateway.anthropic import parameters as anthropic
from appliance.gateway.anthropic.schema import MessagesBody
from appliance.gateway.bodies.parameter_policy import ParameterPolicy
from appliance.gateway.inquiry.schema import TOKENIZE_POLICY, DetokenizeBody, TokenizeBody
from appliance.gateway.ollama import parameters as ollama
from appliance.gateway.ollama.schema import (
    EmbedBody,
    EmbedOneBody,
    GenerateBody,
    OllamaChatBody,
    Options,
    ShowBody,
)
from appliance.gateway.openai.responses import parameters as responses
from appliance.gateway.openai.responses.schema import ResponseBody
from appliance.gateway.openai.responses.store import Bounds
from tests.reference.parameter_table import parameter_table

_MIB = 1 << 20

_RESPONSES = """
## Responses

| request | response |
|---|---|
| `POST /v1/responses` | an answer as a list of items: `reasoning`, `message`, `function_call` |
| `GET /v1/responses/{{id}}`, `DELETE /v1/responses/{{id}}` | returns or deletes a stored response |
| `GET /v1/responses/{{id}}/input_items` | the items of its own input; parameters `limit`, `order`, `after` |
| `POST /v1/responses/input_tokens` | the number of tokens of an input; it has only the parameters of the prompt |

```python
first = client.responses.create(model="qwen2.5-coder-0.5b-instruct", input="What is an inode?")
print(first.output_text)
again = client.responses.create(
    model="qwen2.5-coder-0.5b-instruct", input="Shorter, please.", previous_response_id=first.id
)
```

Unless `store` is false, the box stores the response for {minutes} minutes, only in memory: a restart deletes it. Each
principal can store {answers} responses and {principal_mib} MiB, and all principals together {total_mib} MiB; the
oldest responses are deleted first. If `previous_response_id` names a response that is no longer stored, or one of its
predecessors is no longer stored, the request fails with status 400 and the code `previous_response_not_found`. A
request for a response that is not stored gets status 404.

Events have OpenAI's names and consecutive `sequence_number`. The last event is `response.completed`,
`response.incomplete` or, after an `error`, `response.failed`; there is no `[DONE]`. If the length limit cuts an answer,
its status is `incomplete` with the reason `max_output_tokens`. A function's `strict` is false by default (OpenAI's
default is true): with `strict: true`, a schema that the box cannot enforce is an error.

"""
_MESSAGES = """
## Messages

| request | response |
|---|---|
| `POST /v1/messages` | Anthropic's API: an answer as a list of blocks: `thinking`, `text`, `tool_use` |
| `POST /v1/messages/count_tokens` | the number of tokens of a conversation; it has only the parameters of the prompt |

```python
from anthropic import Anthropic

client = Anthropic(base_url="http://127.0.0.1:8080", api_key="unused")
message = client.messages.create(
    model="qwen2.5-coder-0.5b-instruct", max_tokens=200, messages=[{"role": "user", "content": "What is an inode?"}]
)
print(message.content[0].text)
```

The box accepts any `anthropic-version` and any `anthropic-beta`. It rejects `thread` with the `error_code`
`thread_unsupported_request`; the tool runner of Anthropic's clients then continues without threads. Stop reasons are
`end_turn`, `stop_sequence` (with the sequence), `tool_use`, `max_tokens`, and `model_context_window_exceeded`
if `max_tokens` was larger than the remaining context. `input_tokens` counts the tokens that the engine computed,
`cache_read_input_tokens` those that it found in the prefix cache.
Newer versions of Anthropic's Python client have no argument `temperature`: use `extra_body={"temperature": 0}`.
Thinking blocks have no signature. `is_error` puts "Error: " before a tool's result.

Errors on these paths have Anthropic's format: `{"type": "error", "error": {"type", "message"}, "request_id"}`. The
status is that of the table below, with one exception: if the box is overloaded, the status is 529 with
`overloaded_error`, as at Anthropic; status 429 means that the client reached its own limit.

"""
_OLLAMA = """
## Ollama

[ollama.md](ollama.md) describes how to connect programs for Ollama, and what is different. Errors on the paths under
`/api` have Ollama's format: `{"error": "…"}`, with the statuses of the table below. Parameters of `/api/chat`:

"""
_INQUIRY = """
## Tokens and waiting times

These requests do not run the model, do not count as concurrent requests and succeed while the box is fully loaded.

| request | response |
|---|---|
| `POST /v1/tokenize`, `POST /tokenize` | as in vLLM: `count`, `max_model_len`, `tokens`, `token_strs` |
| `POST /v1/detokenize`, `POST /detokenize` | as in vLLM: `prompt` |
| `GET /tokenizer_info?model=NAME` | as in vLLM: `bos_token`, `eos_token`, `chat_template` |
| `GET /v1/models/{name}/queue` | how long a new request would wait for a slot |

`wait_s` is an estimate. `requests` is the number of requests that the gateway has sent to the engine and that have not
finished. The requests beyond `slots` wait, and a slot becomes free every `median_service_s / slots` seconds. `basis` is
the number of finished requests (at most the last 64) that the median was computed from. `wait_s` is 0 while a slot is
free. It is null if no slot is free and no request has finished yet.

"""


def sections() -> str:
    """The parts as Markdown."""
    bounds = Bounds()
    kept = _RESPONSES.format(
        minutes=f"{bounds.ttl_s / 60:.0f}",
        answers=bounds.answers,
        principal_mib=bounds.principal_bytes // _MIB,
        total_mib=bounds.total_bytes // _MIB,
    )
    none = ParameterPolicy()
    return "".join(
        [
            kept,
            parameter_table(ResponseBody, responses.POLICY),
            _MESSAGES,
            parameter_table(MessagesBody, anthropic.POLICY),
            _OLLAMA,
            parameter_table(OllamaChatBody, ollama.POLICIES[ollama.CHAT]),
            "\nParameters of `/api/generate`:\n\n",
            parameter_table(GenerateBody, ollama.POLICIES[ollama.GENERATE]),
            "\n`options` of both:\n\n",
            parameter_table(Options, ollama.OPTIONS),
            "\nParameters of `/api/embed`:\n\n",
            parameter_table(EmbedBody, ollama.EMBED),
            "\nParameters of `/api/embeddings`:\n\n",
            parameter_table(EmbedOneBody, ollama.EMBED),
            "\nParameters of `/api/show`:\n\n",
            parameter_table(ShowBody, ollama.SHOW),
            _INQUIRY,
            "Parameters of `tokenize`:\n\n",
            parameter_table(TokenizeBody, TOKENIZE_POLICY),
            "\nParameters of `detokenize`:\n\n",
            parameter_table(DetokenizeBody, none),
        ]
    )
