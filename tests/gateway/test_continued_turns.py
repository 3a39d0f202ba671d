"""An assistant's turn that the client began is continued: the prompt ends where its text does, on every API."""

from __future__ import annotations

from typing import Any

import anthropic
import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.chat_template.template import ChatTemplate
from appliance.errors import RequestError
from appliance.gateway.chat.continuation import cut_behind, open_ended
from appliance.gateway.proto.appliance.v1 import inference_pb2 as pb
from appliance.gateway.proto.appliance.v1.inference_pb2_grpc import InferenceServiceStub
from tests.gateway.chat import templates
from tests.gateway.fake_triton import words
from tests.gateway.tiny_artefact import TEMPLATE, tiny_tokenizer

MODEL = "tiny-instruct"
# It thinks and calls tools, as Qwen3 does.
TALKER = "tiny-talker"
HELLO = [{"role": "user", "content": "Count"}]
BEGUN = {"role": "assistant", "content": "One, two, i"}
PROMPT = "<|im_start|>user\nCount<|im_end|>\n<|im_start|>assistant\nOne, two, i"
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}}
CALL = '\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>'


def prompt(harness) -> str:
    return str(tiny_tokenizer(more=True).decode(harness.triton.asked[-1].prompt_ids, skip_special_tokens=False))


def ask_chat(client, **changes) -> str:
    body = {"model": MODEL, "messages": [*HELLO, BEGUN], **changes}
    return str(client.chat.completions.create(**body).choices[0].message.content)


def test_a_chat_goes_on_with_the_assistants_text(client, harness):
    harness.triton.script = words("n a row", ".")
    assert ask_chat(client) == "n a row."
    assert prompt(harness) == PROMPT


@pytest.mark.parametrize(
    ("switches", "goes_on"),
    [
        ({"continue_final_message": True, "add_generation_prompt": False}, True),
        ({"continue_final_message": True}, True),
        ({"add_generation_prompt": False}, True),
        ({"continue_final_message": False}, False),
        ({"add_generation_prompt": True}, False),
        ({"continue_final_message": None, "add_generation_prompt": None}, True),
    ],
)
def test_vllms_switches_say_whether_it_does(client, harness, switches, goes_on):
    ask_chat(client, extra_body=switches)
    assert (prompt(harness) == PROMPT) is goes_on
    assert prompt(harness).endswith("<|im_end|>\n<|im_start|>assistant\n") is not goes_on


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"continue_final_message": True, "add_generation_prompt": True}, "continue_final_message"),
        ({"continue_final_message": False, "add_generation_prompt": False}, "continue_final_message"),
        ({"continue_final_message": True, "messages": HELLO}, "continue_final_message"),
        ({"add_generation_prompt": False, "messages": HELLO}, "add_generation_prompt"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
    ],
)
def test_what_contradicts_it_is_named(http, harness, changes, param):
    body = {"model": MODEL, "messages": [*HELLO, BEGUN], **changes}
    response = http.post("/v1/chat/completions", json=body)
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)
    assert harness.triton.asked == []


def test_a_turn_of_calls_is_over(client, harness):
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turn = {"role": "assistant", "content": "I look.", "tool_calls": [call]}
    client.chat.completions.create(model=TALKER, messages=[*HELLO, turn])
    assert prompt(harness).endswith("<|im_end|>\n<|im_start|>assistant\n")


def test_a_continued_answer_calls_tools_and_does_not_think_again(client, harness):
    harness.triton.script = words(" <think>", "here", *CALL)
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}]
    answer = client.chat.completions.create(
        model=TALKER,
        messages=[*HELLO, {**BEGUN, "reasoning_content": "hm"}],
        tools=tools,
        tool_choice="required",
    )
    message = answer.choices[0].message
    assert (message.content, message.tool_calls[0].function.arguments) == (" <think>here", '{"city": "Paris"}')
    assert prompt(harness).endswith("<think>\nhm\n</think>\n\nOne, two, i")
    assert "thought" not in harness.triton.asked[0].sampling["structured_outputs"]["grammar"]


def test_white_space_at_the_end_stays_as_it_is(client, harness):
    ask_chat(client, messages=[*HELLO, {**BEGUN, "content": "One,\n\n "}])
    assert prompt(harness).endswith("assistant\nOne,\n\n ")


def test_a_response_goes_on_and_is_kept_as_one_turn(client, harness):
    harness.triton.script = words("n a row.")
    response = client.responses.create(model=MODEL, input=[*HELLO, BEGUN])
    assert response.output_text == "n a row."
    assert prompt(harness) == PROMPT
    client.responses.create(model=MODEL, input="More", previous_response_id=response.id)
    assert prompt(harness).startswith(f"{PROMPT}n a row.<|im_end|>\n<|im_start|>user\nMore")


@pytest.mark.parametrize("content", ["One, two, i", [{"type": "text", "text": "One, two, i"}]])
def test_a_message_goes_on_and_so_does_its_count(claude, harness, content):
    harness.triton.script = words("n a row.")
    turns: list[Any] = [*HELLO, {"role": "assistant", "content": content}]
    message = claude.messages.create(model=MODEL, max_tokens=9, messages=turns)
    assert message.content[0].text == "n a row."
    assert prompt(harness) == PROMPT
    count = claude.messages.count_tokens(model=MODEL, messages=turns).input_tokens
    assert count == len(harness.triton.asked[0].prompt_ids)


@pytest.mark.parametrize(
    "content",
    [
        "One ",
        "",
        [],
        [{"type": "thinking", "thinking": "hm"}],
        [{"type": "text", "text": "I look."}, {"type": "tool_use", "id": "c", "name": "f", "input": {}}],
    ],
)
def test_what_anthropic_does_not_continue_is_refused(claude, harness, content):
    with pytest.raises(anthropic.BadRequestError):
        claude.messages.create(model=TALKER, max_tokens=9, messages=[*HELLO, {"role": "assistant", "content": content}])
    assert harness.triton.asked == []


def test_the_tokeniser_counts_what_the_chat_would_send(http, harness, client):
    ask_chat(client)
    messages = [*HELLO, BEGUN]
    counted = http.post("/v1/tokenize", json={"model": MODEL, "messages": messages}).json()
    assert tuple(counted["tokens"]) == harness.triton.asked[0].prompt_ids
    closed = {"model": MODEL, "messages": messages, "add_generation_prompt": True}
    assert http.post("/v1/tokenize", json=closed).json()["count"] > counted["count"]


def test_a_chat_over_grpc_goes_on_too(harness):
    messages = [pb.Message(**turn) for turn in (*HELLO, BEGUN)]
    with grpc.insecure_channel(harness.grpc_address) as channel:
        stub = InferenceServiceStub(channel)
        list(stub.Chat(pb.ChatRequest(model=MODEL, messages=messages)))
        counted = stub.Tokenize(pb.TokenizeRequest(model=MODEL, conversation=pb.Conversation(messages=messages)))
    assert prompt(harness) == PROMPT
    assert tuple(counted.token_ids) == harness.triton.asked[0].prompt_ids


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30))
@pytest.mark.parametrize("source", [TEMPLATE, templates.TOOLS, templates.THINKING])
def test_any_text_is_continued_byte_by_byte(source, content):
    template = ChatTemplate(source, bos_token="", eos_token="")
    before = template.render(HELLO)
    turns = [*HELLO, {"role": "assistant", "content": content}]
    assert cut_behind(template.render(open_ended(turns)), content, "messages") == before + content


@pytest.mark.parametrize("change", ["| trim", "| upper", "[:3]"])
def test_a_template_that_changes_the_text_is_refused(change):
    template = ChatTemplate(
        f"{{% for m in messages %}}{{{{ (m.content {change}) }}}}|{{% endfor %}}", bos_token="", eos_token=""
    )
    turns = [{"role": "assistant", "content": " One, two, i "}]
    with pytest.raises(RequestError) as caught:
        cut_behind(template.render(open_ended(turns)), turns[0]["content"], "messages")
    assert caught.value.param == "messages"
