"""Whatever a client sends, the parsers of its bytes answer with a value or with a refusal that names a parameter."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.chat_template.template import ChatTemplate
from appliance.errors import RequestError
from appliance.gateway.bodies import json_body as body
from appliance.gateway.bodies.accepted import accept
from appliance.gateway.chat import history
from appliance.gateway.chat.request import ChatRequest
from appliance.gateway.openai.chat_request import chat_request
from appliance.gateway.openai.parameters import CHAT, COMPLETIONS, POLICIES
from appliance.gateway.openai.schema import ChatBody, CompletionBody
from appliance.gateway.openapi import document
from tests.gateway.chat import templates
from tests.reference.parameter_table import names_of

PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
JSON = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner))
TEXT = st.text(max_size=20)
ROLES = st.sampled_from(["system", "developer", "user", "assistant", "tool", "robot"])
CALLS = st.lists(
    st.fixed_dictionaries(
        {"id": TEXT, "type": st.just("function")},
        optional={"function": st.fixed_dictionaries({"name": TEXT, "arguments": TEXT | JSON.map(json.dumps)})},
    ),
    max_size=2,
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": ROLES},
        optional={"content": TEXT | JSON, "tool_calls": CALLS, "tool_call_id": TEXT, "reasoning_content": TEXT | PLAIN},
    ),
    max_size=4,
)
NAMES = sorted(
    {*ChatBody.model_fields, *CompletionBody.model_fields, *names_of(POLICIES[CHAT]), *names_of(POLICIES[COMPLETIONS])}
)
# Bodies that have the required parameters, and any others with anything in them.
BODIES = st.builds(
    lambda required, others: {**others, **required},
    st.fixed_dictionaries({"model": TEXT, "messages": MESSAGES, "prompt": TEXT}),
    st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), JSON, max_size=4),
)
CASES = [(ChatBody, CHAT, "prompt"), (CompletionBody, COMPLETIONS, "messages")]


def parsed(kind, content, endpoint):
    """The checked body, or None for a refusal."""
    try:
        return accept(kind, POLICIES[endpoint], body.read_object(content), "ignore").body
    except RequestError:
        return None


@given(st.binary(max_size=200))
@pytest.mark.parametrize(("kind", "endpoint", "_other"), CASES)
def test_any_bytes_are_a_body_or_refused(kind, endpoint, _other, content):
    parsed(kind, content, endpoint)


@given(BODIES)
@pytest.mark.parametrize(("kind", "endpoint", "other"), CASES)
def test_any_json_is_a_body_or_refused(kind, endpoint, other, value):
    content = json.dumps({key: one for key, one in value.items() if key != other}).encode(errors="replace")
    asked = parsed(kind, content, endpoint)
    if isinstance(asked, ChatBody):
        try:
            conversation = chat_request(asked)
        except RequestError:
            return
        assert isinstance(conversation, ChatRequest)


MESSAGE_VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner))


@given(
    st.lists(st.dictionaries(st.sampled_from(["role", "content", "name", "tool_calls"]), MESSAGE_VALUES), max_size=4)
)
@pytest.mark.parametrize("source", [templates.TOOLS, templates.THINKING, "{{ messages[0].content.split()[9] }}"])
def test_any_messages_are_rendered_or_refused(source, messages):
    template = ChatTemplate(source, bos_token="", eos_token="")
    try:
        rendered = template.render(messages, tools=[{"a": 1}], options={"mood": "open"})
    except RequestError as error:
        rendered = error.param
    assert isinstance(rendered, str)


@given(MESSAGES)
def test_any_history_is_taken_or_refused_by_the_place_of_its_fault(messages):
    asked = parsed(ChatBody, json.dumps({"model": "a", "messages": messages}).encode(errors="replace"), CHAT)
    if asked is None:
        return
    turns = chat_request(asked).messages
    try:
        taken = history.for_template(turns, "messages")
    except RequestError as error:
        refused = error.param
    else:
        refused = ""
    assert refused == "" or refused.startswith("messages[")
    if refused:
        return
    for turn, original in zip(taken, turns, strict=True):
        for call, sent in zip(turn.get("tool_calls", []), original.get("tool_calls", []), strict=True):
            arguments = call["function"]["arguments"]
            assert json.loads(arguments.source) == dict(arguments)
            assert arguments.source == (sent["function"]["arguments"].strip() or "{}")


def test_the_document_has_every_parameter_that_a_body_may_have():
    schemas = document(["a"])["components"]["schemas"]
    listed = {*schemas["ChatBody"]["properties"], *schemas["CompletionBody"]["properties"]}
    assert listed == set(NAMES)
