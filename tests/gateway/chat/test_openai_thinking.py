"""Thoughts with the real `openai` client: split from the answer, turned off, asked of models that have none."""

from __future__ import annotations

import openai
import pytest

from tests.gateway.fake_triton import words
from tests.gateway.tiny_artefact import tiny_tokenizer

ASK = [{"role": "user", "content": "Why?"}]
TEXT = ("<thi", "nk>\n", "Hm", ".\n", "</think>", "\n\n", "Be", "cause.")
OFF = "<think>\n\n</think>\n\n"


def prompt(harness):
    return tiny_tokenizer(more=True).decode(harness.triton.asked[-1].prompt_ids, skip_special_tokens=False)


def ask(client, **settings):
    return client.chat.completions.create(**{"model": "thinker", "messages": ASK, **settings})


def test_thoughts_are_beside_the_answer(client, harness):
    harness.triton.script = words(*TEXT)
    message = ask(client).choices[0].message
    assert (message.reasoning_content, message.content) == ("Hm.", "Because.")


def test_thoughts_are_streamed(client, harness):
    harness.triton.script = words(*TEXT)
    deltas = [chunk.choices[0].delta for chunk in ask(client, stream=True)]
    assert "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas) == "Hm."
    assert "".join(delta.content or "" for delta in deltas) == "Because."


def test_a_thought_may_be_opened_by_the_template(client, harness):
    harness.triton.script = words("Hm.", "\n</think>\n\nBecause.")
    message = ask(client, extra_body={"chat_template_kwargs": {"mood": "open"}}).choices[0].message
    assert (message.reasoning_content, message.content) == ("Hm.", "Because.")
    assert prompt(harness).endswith("<think>\n")


@pytest.mark.parametrize(
    "settings",
    [{"reasoning_effort": "none"}, {"extra_body": {"chat_template_kwargs": {"enable_thinking": False}}}],
    ids=["OpenAI's word", "vLLM's word"],
)
def test_thinking_is_turned_off(client, harness, settings):
    ask(client, **settings)
    assert prompt(harness).endswith(OFF)


def test_thinking_is_on_when_it_is_asked_for(client, harness):
    ask(client, reasoning_effort="medium")
    assert prompt(harness).endswith("assistant\n")


@pytest.mark.parametrize(
    ("settings", "param"),
    [
        ({"extra_body": {"chat_template_kwargs": {"messages": "x"}}}, "chat_template_kwargs.messages"),
        (
            {"reasoning_effort": "none", "extra_body": {"chat_template_kwargs": {"enable_thinking": True}}},
            "reasoning_effort",
        ),
    ],
)
def test_what_contradicts_or_replaces_the_conversation_is_refused(client, harness, settings, param):
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, **settings)
    assert caught.value.param == param
    assert harness.triton.asked == []


@pytest.mark.parametrize(
    ("settings", "ignored"),
    [
        ({"model": "tools", "reasoning_effort": "low"}, "reasoning_effort"),
        ({"model": "tools", "extra_body": {"think": True}}, "think"),
        (
            {"model": "tools", "extra_body": {"chat_template_kwargs": {"enable_thinking": True}}},
            "chat_template_kwargs.enable_thinking",
        ),
        ({"model": "always-thinks", "reasoning_effort": "none"}, "reasoning_effort"),
        ({"extra_body": {"chat_template_kwargs": {"speed": "high"}}}, "chat_template_kwargs.speed"),
    ],
)
def test_a_hint_for_another_kind_of_model_is_ignored_and_named(client, harness, settings, ignored):
    settings = {"model": "thinker", **settings}
    plain = {**settings, "extra_body": None}
    plain.pop("reasoning_effort", None)
    answer = client.chat.completions.with_raw_response.create(messages=ASK, **settings)
    client.chat.completions.create(messages=ASK, **plain)
    assert answer.headers["appliance-ignored-parameters"] == ignored
    assert harness.triton.asked[0].prompt_ids == harness.triton.asked[1].prompt_ids


def test_a_model_without_thoughts_may_be_told_not_to_think(client, harness):
    ask(client, model="tools", reasoning_effort="none")
    ask(client, model="tools", extra_body={"chat_template_kwargs": {"enable_thinking": False}})
    assert len(harness.triton.asked) == 2


@pytest.mark.parametrize(
    ("settings", "start"),
    [
        ({}, 'start: "<think>" "\\n" text_to_thought'),
        ({"extra_body": {"chat_template_kwargs": {"mood": "open"}}}, "start: text_to_thought"),
    ],
)
def test_a_thinking_model_thinks_before_a_bound_answer(client, harness, settings, start):
    ask(client, response_format={"type": "json_object"}, **settings)
    grammar = harness.triton.asked[0].sampling["structured_outputs"]["grammar"]
    assert grammar.startswith(start)
    ask(client, response_format={"type": "json_object"}, reasoning_effort="none")
    assert harness.triton.asked[1].sampling["structured_outputs"] == {"json_object": True}


def test_thoughts_sent_back_go_to_the_template(client, harness):
    turn = {"role": "assistant", "content": "Because.", "reasoning_content": "Hm."}
    ask(client, messages=[*ASK, turn, *ASK])
    assert "<|im_start|>assistant\n<think>\nHm.\n</think>\n\nBecause.<|im_end|>" in prompt(harness)
