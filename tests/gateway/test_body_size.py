"""A body is counted before it is parsed: what would hold everybody up is refused, and nothing else is."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import RequestError
from appliance.gateway.http import body_size
from appliance.gateway.http.body_size import MAX_COMMAS, MAX_CONTAINERS, MAX_STRINGS, check_size
from tests.refusals import refused

MODEL = "tiny-instruct"
TEXT = st.text(alphabet='a"\\,[{}]: é', max_size=12)
VALUES = st.recursive(TEXT | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner))


def counts(value: Any) -> tuple[int, int, int]:
    """Strings, objects and lists, commas."""
    if isinstance(value, str):
        return 1, 0, 0
    if not isinstance(value, dict | list):
        return 0, 0, 0
    inner = [counts(one) for one in (value.values() if isinstance(value, dict) else value)]
    names = len(value) if isinstance(value, dict) else 0
    strings, containers, commas = (sum(one[place] for one in inner) for place in range(3))
    return strings + names, containers + 1, commas + max(len(value) - 1, 0)


@given(value=VALUES, ascii_only=st.booleans(), piece=st.integers(1, 9))
def test_a_body_is_counted_exactly_wherever_it_is_cut(value: Any, ascii_only: bool, piece: int):
    found = body_size._Counts()
    content = json.dumps(value, ensure_ascii=ascii_only).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(body_size, "_PIECE_BYTES", piece)
        patch.setattr(body_size, "_Counts", lambda: found)
        asyncio.run(check_size(content))
    assert (found._strings, found._containers, found._commas) == counts(value)


@pytest.mark.parametrize(
    ("content", "most"),
    [
        (b"[" + b",".join([b"[]"] * (MAX_CONTAINERS + 1)) + b"]", MAX_CONTAINERS),
        (b"[" + b",".join([b"{}"] * (MAX_CONTAINERS + 1)) + b"]", MAX_CONTAINERS),
        (b"[" + b",".join([b'"\\""'] * (MAX_STRINGS + 1)) + b"]", MAX_STRINGS),
        (b"{" + b",".join([b'"a":1'] * (MAX_STRINGS + 1)) + b"}", MAX_STRINGS),
        (b"[" + b",".join([b"1"] * (MAX_COMMAS + 2)) + b"]", MAX_COMMAS),
        (b"[" * (MAX_CONTAINERS + 1), MAX_CONTAINERS),
    ],
    ids=["lists", "objects", "strings", "names", "numbers", "depth"],
)
def test_what_would_take_long_to_parse_is_refused(content: bytes, most: int):
    with refused(RequestError, most):
        asyncio.run(check_size(content))


@pytest.mark.parametrize("text", ['"' * 100_000, "\\" * 100_001, ",[{" * 200_000, "\n" * 300_000])
def test_what_stands_inside_of_a_text_does_not_count(text: str):
    asyncio.run(check_size(json.dumps({"a": text}).encode()))


def test_a_hundred_thousand_messages_are_refused_before_they_are_parsed(http, harness):
    body = {"model": MODEL, "messages": [{"role": "user", "content": "a"}] * 100_000}
    response = http.post("/v1/chat/completions", json=body)
    assert response.status_code == 400
    assert "20000" in response.json()["error"]["message"]
    assert harness.triton.asked == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", **{f"k{n}": 1 for n in range(5000)}}]}),
        ("/v1/chat/completions", {f"k{n}": 1 for n in range(5000)}),
        ("/v1/completions", {"prompt": [None] * 100_000}),
        ("/v1/completions", {"prompt": [1] * 100_000}),
        ("/v1/completions", {"prompt": "a" * 100_000}),
        ("/v1/detokenize", {"tokens": [1] * 100_000}),
        ("/v1/tokenize", {"prompt": "a" * 100_000}),
        ("/v1/tokenize", {"messages": [{"role": "user", "content": "a" * 100_000}]}),
        ("/v1/messages", {"max_tokens": 1, "messages": [{"role": "user", "content": "a" * 100_000}]}),
        ("/api/chat", {"messages": [{"role": "user", "content": "a" * 100_000}]}),
        ("/api/generate", {"prompt": "a" * 100_000}),
        ("/v1/responses", {"input": "a" * 100_000}),
        ("/v1/responses/input_tokens", {"input": "a" * 100_000}),
    ],
)
def test_what_can_never_fit_the_context_is_refused_unread(http, harness, path, body):
    response = http.post(path, json={"model": MODEL, **body})
    assert response.status_code == 400
    assert len(response.text) < 1000
    assert harness.triton.asked == []


def test_a_schema_may_have_many_properties(http):
    schema = {"type": "object", "properties": {f"k{n}": {"type": "string"} for n in range(300)}}
    form = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}
    body = {"model": MODEL, "messages": [{"role": "user", "content": "a"}], "response_format": form}
    assert http.post("/v1/chat/completions", json=body).status_code == 200
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    body = {"model": "tiny-talker", "messages": [{"role": "user", "content": "a"}], "tools": [tool]}
    assert "fewer fields" not in http.post("/v1/chat/completions", json=body).text
