"""JSON bodies of every endpoint: valid ones with changes. Half of them change bytes, half put likely values in."""

from __future__ import annotations

import functools
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from tests.redteam.attack import Attack, expect
from tests.redteam.box import AttackedBox
from tests.redteam.mutation import mutant

# A full queue and a model that is not ready are answers too; 501 is embeddings'.
_ALLOWED = {501, 503, 504}
_TURN = {"role": "user", "content": [{"type": "text", "text": "a"}]}
_SCHEMA = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}, "required": ["a"]}
_CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
_FUNCTION = {"type": "function", "function": {"name": "f", "description": "d", "parameters": _SCHEMA}}
# Values of a kind that may stand where another of it did: bodies that get past the first checks.
_LIKELY: dict[type, tuple[Any, ...]] = {
    str: ("", "a", "Once " * 40, "ü\n🙂", "auto", "none", "required", "user", "assistant", "tool", "text", "low"),
    int: (0, 1, 2, 5, 20, 64),
    float: (0.0, 0.01, 0.3, 1.0, 2.0),
    bool: (True, False),
}
_SAMPLING: dict[str, Any] = {"temperature": 0.5, "top_p": 0.9, "seed": 1, "stop": ["x"], "stream": False}


def attack(seconds: float) -> Attack:
    """The attack, for so long."""
    return Attack("fuzz: JSON bodies", "R3 R14", lambda box: _run(box, seconds))


def _valid(box: AttackedBox) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Address, path and body."""
    model, http = {"model": box.model}, box.state.http
    named = {"name": "x", "schema": _SCHEMA, "strict": True}
    short = {**model, "max_tokens": 2}
    yield http, "/v1/completions", {**short, "prompt": "a", **_SAMPLING, "logit_bias": {"65": 1}, "logprobs": 1, "n": 1}
    yield (
        http,
        "/v1/completions",
        {**short, "prompt": [1, 2], "stream": True, "stream_options": {"include_usage": True}},
    )
    yield http, "/v1/completions", {**short, "prompt": "a", "suffix": "b", "top_k": 2, "min_p": 0.1, "min_tokens": 1}
    scored = {"prompt": ["a", "b"], "echo": True, "logprobs": 1, "prompt_logprobs": 2, "truncate_prompt_tokens": 5}
    yield http, "/v1/completions", {**short, **scored, "return_token_ids": True, "bad_words": ["x"], "n": 2}
    yield http, "/v1/completions", {**short, "prompt": [[1], [2, 3]], "allowed_token_ids": [1, 2], "best_of": 1}
    yield http, "/v1/completions", {**short, "prompt": "a", "grammar": 'root ::= "a" | [b-c]{2}'}
    chat = {**short, "messages": [{"role": "system", "content": "s"}, _TURN], **_SAMPLING}
    yield http, "/v1/chat/completions", chat
    yield http, "/v1/chat/completions", {**chat, "response_format": {"type": "json_schema", "json_schema": named}}
    yield http, "/v1/chat/completions", {**chat, "structured_outputs": {"regex": "a+"}, "prompt_logprobs": 0}
    turns = [_TURN, {"role": "assistant", "content": None, "tool_calls": [_CALL]}]
    turns.append({"role": "tool", "tool_call_id": "1", "content": "x"})
    yield http, "/v1/chat/completions", {**short, "messages": turns, "tools": [_FUNCTION], "tool_choice": "auto"}
    message = {**short, "messages": [_TURN], "system": [{"type": "text", "text": "s"}], "temperature": 0.1}
    yield http, "/v1/messages", message
    used = {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}}]}
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "x"}]}
    yield (
        http,
        "/v1/messages",
        {**short, "messages": [_TURN, used, result], "tools": [{"name": "f", "input_schema": _SCHEMA}]},
    )
    yield http, "/v1/messages/count_tokens", {**model, "messages": [_TURN]}
    items = [{"role": "user", "content": [{"type": "input_text", "text": "a"}]}]
    yield http, "/v1/responses", {**model, "input": items, "max_output_tokens": 16, "instructions": "x", "store": False}
    text = {"format": {"type": "json_schema", **named}}
    yield http, "/v1/responses", {**model, "input": "a", "max_output_tokens": 16, "text": text}
    yield http, "/v1/tokenize", {**model, "prompt": "a", "return_token_strs": True}
    yield http, "/v1/tokenize", {**model, "messages": [_TURN]}
    yield http, "/v1/detokenize", {**model, "tokens": [1, 2, 3]}
    yield http, "/v1/embeddings", {**model, "input": "a"}
    options = {"num_predict": 2, "temperature": 0.1, "repeat_penalty": 1.1, "num_ctx": 500, "stop": ["x"]}
    called = {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]}
    turns = [_TURN, called, {"role": "tool", "tool_name": "f", "content": "x"}]
    yield http, "/api/chat", {**model, "messages": turns, "tools": [_FUNCTION], "options": options, "keep_alive": "5m"}
    yield http, "/api/chat", {**model, "messages": [_TURN], "format": _SCHEMA, "options": options, "logprobs": True}
    yield http, "/api/generate", {**model, "prompt": "a", "system": "s", "options": options, "think": False}
    yield http, "/api/embed", {**model, "input": ["a", "b"], "truncate": True, "keep_alive": -1}
    yield http, "/api/show", model
    choice = {"type": "choice", "instructions": "a", "choices": [{"value": "b"}, {"value": True, "description": "c"}]}
    score = {"type": "score", "name": "n", "instructions": "a", "levels": [{"label": "b"}, {"label": "c"}]}
    yield http, "/v1/decisions", {**model, "input": items, "questions": [choice, score]}
    yield http, "/v1/rerank", {**model, "query": "a", "documents": ["a", {"text": "b"}], "top_n": 1}
    yield http, "/v1/score", {**model, "text_1": "a", "text_2": ["a"]}
    generated = {"text_input": "a", "stream": False, "parameters": {"sampling_parameters": '{"max_tokens": 2}'}}
    yield box.triton_http, f"/v2/models/{box.model}/generate", generated
    yield box.triton_http, f"/v2/models/{box.model}/generate_stream", {**generated, "stream": True}


def _leaves(value: Any, put: Callable[[Any], None]) -> Iterator[tuple[Any, Callable[[Any], None]]]:
    """Every value without others in it, and what puts another in its place."""
    if isinstance(value, dict | list):
        for key in range(len(value)) if isinstance(value, list) else list(value):
            yield from _leaves(value[key], functools.partial(value.__setitem__, key))
    else:
        yield value, put


def _likely(body: bytes, chance: random.Random) -> tuple[str, bytes]:
    """The body with up to three values replaced by others of their kind."""
    parsed = json.loads(body)
    model = parsed.pop("model", None)
    leaves = [(value, put) for value, put in _leaves(parsed, lambda _: None) if type(value) in _LIKELY]
    for value, put in chance.sample(leaves, min(len(leaves), chance.choice((1, 1, 2, 3)))):
        put(chance.choice(_LIKELY[type(value)]))
    return "likely values", json.dumps(parsed if model is None else {"model": model, **parsed}).encode()


def _run(box: AttackedBox, seconds: float) -> str:
    chance, client = random.Random(box.seed), box.attacker
    ends = time.monotonic() + seconds
    seen: Counter[int] = Counter()
    valid = [(address, path, json.dumps(body).encode()) for address, path, body in _valid(box)]
    for address, path, body in valid:
        answer = client.ask("POST", path, body, address=address)
        expect(answer.status < 500 or answer.status in _ALLOWED, f"{path} {body!r} got {answer}")
    while time.monotonic() < ends:
        address, path, body = chance.choice(valid)
        what, content = chance.choice((mutant, _likely))(body, chance)
        answer = client.ask("POST", path, content, address=address)
        shown = content if len(content) < 2000 else content[:200]
        expect(answer.status < 500 or answer.status in _ALLOWED, f"{path}, {what}: {shown!r} got {answer}")
        seen[answer.status] += 1
    return f"{sum(seen.values())} bodies: " + ", ".join(f"{status} {count}" for status, count in sorted(seen.items()))
