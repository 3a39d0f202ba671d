"""The parts of the page about the APIs that tell of responses, messages, tokens and waits. It serves nothing."""

from __future__ import annotations

from appliance.gateway.anthropic import parameters as anthropic
from appliance.gateway.anthropic.schema import MessagesBody
from appliance.gateway.bodies.treatment import Treatment
from appliance.gateway.inquiry.schema import DetokenizeBody, TokenizeBody
from appliance.gateway.openai.responses import parameters as responses
from appliance.gateway.openai.responses.schema import ResponseBody
from appliance.gateway.openai.responses.store import Bounds
from tests.reference.parameter_table import parameter_table

_MIB = 1 << 20

_RESPONSES = """
## Responses

| request | answer |
|---|---|
| `POST /v1/responses` | an answer in items: `reasoning`, `message`, `function_call` |
| `GET /v1/responses/{{id}}`, `DELETE /v1/responses/{{id}}` | an answer that is kept, once more; or it is forgotten |
| `GET /v1/responses/{{id}}/input_items` | the items of its own input; `limit`, `order`, `after` |
| `POST /v1/responses/input_tokens` | how many tokens an input has; parameters that make the prompt |

```python
first = client.responses.create(model="qwen2.5-coder-0.5b-instruct", input="What is an inode?")
print(first.output_text)
again = client.responses.create(
    model="qwen2.5-coder-0.5b-instruct", input="Shorter, please.", previous_response_id=first.id
)
```

Unless `store` is false, an answer is kept for {minutes} minutes, in memory alone: a restart forgets it. Each
principal has its own {answers} answers and {principal_mib} MiB, all together {total_mib} MiB; the oldest go first.
A chain whose link is gone is a 400 with the code `previous_response_not_found`, and an answer that is not kept is a
404.

Events have OpenAI's names and consecutive `sequence_number`. The last one is `response.completed`,
`response.incomplete`, or after an `error` `response.failed`; there is no `[DONE]`. An answer that its length cut is
`incomplete` with the reason `max_output_tokens`. A function's `strict` counts only when it is true, where OpenAI
assumes it: a schema that cannot be honoured is then refused.

"""
_MESSAGES = """
## Messages

| request | answer |
|---|---|
| `POST /v1/messages` | Anthropic's API: an answer in blocks: `thinking`, `text`, `tool_use` |
| `POST /v1/messages/count_tokens` | how many tokens the conversation has; parameters that make the prompt |

```python
from anthropic import Anthropic

client = Anthropic(base_url="http://127.0.0.1:8080", api_key="unused")
message = client.messages.create(
    model="qwen2.5-coder-0.5b-instruct", max_tokens=200, messages=[{"role": "user", "content": "What is an inode?"}]
)
print(message.content[0].text)
```

Any `anthropic-version` is taken, and every `anthropic-beta` passes. `thread` is refused with the `error_code`
`thread_unsupported_request`, after which the tool runner of Anthropic's clients goes on without one. Stop reasons are
`end_turn`, `stop_sequence` (with the one that it was), `tool_use`, `max_tokens`, and `model_context_window_exceeded`
when `max_tokens` was more than the context left. `input_tokens` are those that were computed,
`cache_read_input_tokens` those that were not.
Thinking blocks have no signature. `is_error` puts "Error: " before a tool's result.

Errors on these paths have Anthropic's shape: `{"type": "error", "error": {"type", "message"}, "request_id"}`. The
status is that of the table below, but a box without room answers 529, `overloaded_error`, as Anthropic does; 429 is
a client's own limit.

"""
_INQUIRY = """
## Tokens and waits

These ask no model, need no room among the requests under way and answer while the box is full.

| request | answer |
|---|---|
| `POST /v1/tokenize`, `POST /tokenize` | vLLM's: `count`, `max_model_len`, `tokens`, `token_strs` |
| `POST /v1/detokenize`, `POST /detokenize` | vLLM's: `prompt` |
| `GET /v1/models/{name}/queue` | how long a request that comes now would wait for a slot |

`wait_s` is an estimate: of the `requests` that the gateway has sent and that are not over, those beyond `slots`
wait, and a slot becomes free every `median_service_s / slots` seconds. `basis` says from how many finished
requests, the last 64 at most, that median is. It is 0 while a slot is free, and null while there is none and
nothing has finished yet.

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
    none = Treatment()
    return "".join(
        [
            kept,
            parameter_table(ResponseBody, responses.TREATMENT),
            _MESSAGES,
            parameter_table(MessagesBody, anthropic.TREATMENT),
            _INQUIRY,
            "Of `tokenize`:\n\n",
            parameter_table(TokenizeBody, none),
            "\nOf `detokenize`:\n\n",
            parameter_table(DetokenizeBody, none),
        ]
    )
