"""The real `openai` client against the gateway: what it streams and what it gets whole."""

from __future__ import annotations

import pytest

from tests.gateway.fake_triton import piece, usage, words
from tests.gateway.tiny_artefact import tiny_tokenizer

MODEL = "tiny-instruct"
HELLO = [{"role": "user", "content": "Say hello"}]


def test_a_chat_is_streamed_piece_by_piece(client, harness):
    harness.triton.script = words("Hel", "lo", " wörld", " 世界", '"\n')
    chunks = list(client.chat.completions.create(model=MODEL, messages=HELLO, stream=True))
    assert chunks[0].choices[0].delta.role == "assistant"
    texts = [chunk.choices[0].delta.content for chunk in chunks[1:-1]]
    assert texts == ["Hel", "lo", " wörld", " 世界", '"\n']
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    assert all(chunk.object == "chat.completion.chunk" and chunk.model == MODEL for chunk in chunks)


def test_a_chat_comes_whole_with_its_usage(client, harness):
    harness.triton.script = words("one", " two", finish="length")
    answer = client.chat.completions.create(model=MODEL, messages=HELLO)
    assert answer.choices[0].message.content == "one two"
    assert answer.choices[0].finish_reason == "length"
    (asked,) = harness.triton.asked
    assert asked.stream is False
    assert answer.usage.prompt_tokens == len(asked.prompt_ids)
    assert answer.usage.completion_tokens == 2
    assert answer.usage.total_tokens == len(asked.prompt_ids) + 2
    assert answer.system_fingerprint.startswith("fp_")


def test_a_stream_ends_with_the_usage_when_asked(client, harness):
    async def script(asked):
        yield piece("a", [1])
        yield piece("", [], finish="stop", usage=usage(asked, 1, cached_tokens=4))

    harness.triton.script = script
    chunks = list(
        client.chat.completions.create(model=MODEL, messages=HELLO, stream=True, stream_options={"include_usage": True})
    )
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == 1
    assert chunks[-1].usage.prompt_tokens_details.cached_tokens == 4
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_the_prompt_is_the_models_own_template(client, harness):
    messages = [
        {"role": "developer", "content": "Be brief"},
        {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]},
        {"role": "assistant", "content": "yes"},
        {"role": "user", "content": "three"},
    ]
    client.chat.completions.create(model=MODEL, messages=messages)
    expected = (
        "<|im_start|>system\nBe brief<|im_end|>\n<|im_start|>user\none\ntwo<|im_end|>\n"
        "<|im_start|>assistant\nyes<|im_end|>\n<|im_start|>user\nthree<|im_end|>\n<|im_start|>assistant\n"
    )
    assert list(harness.triton.asked[0].prompt_ids) == tiny_tokenizer().encode(expected).ids


def test_an_answer_of_ours_can_be_sent_back_as_a_turn(client, harness):
    answer = client.chat.completions.create(model=MODEL, messages=HELLO)
    turn = answer.choices[0].message.model_dump()
    client.chat.completions.create(model=MODEL, messages=[*HELLO, turn, *HELLO])
    assert len(harness.triton.asked) == 2


@pytest.mark.parametrize("stream", [False, True])
def test_a_completion_continues_text(client, harness, stream):
    harness.triton.script = words("x", "y")
    answer = client.completions.create(model="tiny-base", prompt="def f(", stream=stream)
    if stream:
        chunks = list(answer)
        assert "".join(chunk.choices[0].text for chunk in chunks) == "xy"
        assert chunks[-1].choices[0].finish_reason == "stop"
    else:
        assert answer.choices[0].text == "xy"
        assert answer.object == "text_completion"
    (asked,) = harness.triton.asked
    assert asked.model == "tiny-base"
    assert list(asked.prompt_ids) == tiny_tokenizer().encode("def f(").ids


@pytest.mark.parametrize("prompt", [[1, 2, 3], [[1, 2, 3]]])
def test_a_completion_takes_token_ids(client, harness, prompt):
    client.completions.create(model=MODEL, prompt=prompt)
    assert harness.triton.asked[0].prompt_ids == (1, 2, 3)


def test_every_sampling_parameter_reaches_the_engine_by_its_name(client, harness):
    client.chat.completions.create(
        model=MODEL,
        messages=HELLO,
        temperature=0,
        top_p=0.5,
        max_completion_tokens=7,
        stop=["a", "b"],
        seed=-1,
        presence_penalty=1,
        frequency_penalty=-1,
        logit_bias={"5": -100},
        logprobs=True,
        top_logprobs=3,
        extra_body={
            "top_k": -1,
            "min_p": 0.1,
            "repetition_penalty": 1.2,
            "ignore_eos": True,
            "min_tokens": 2,
            "stop_token_ids": [4],
        },
    )
    (asked,) = harness.triton.asked
    assert asked.sampling == {
        "temperature": 0,
        "top_p": 0.5,
        "max_tokens": 7,
        "stop": ["a", "b"],
        "seed": (1 << 63) - 1,
        "presence_penalty": 1,
        "frequency_penalty": -1,
        "logit_bias": {"5": -100},
        "logprobs": 3,
        "top_k": 0,
        "min_p": 0.1,
        "repetition_penalty": 1.2,
        "ignore_eos": True,
        "min_tokens": 2,
        "stop_token_ids": [4],
    }
    # What is left of the box's limit.
    assert asked.options.keys() == {"timeout_s"}
    assert 0 < asked.options["timeout_s"] <= 3600
    assert "return_logprobs" in asked.inputs


def test_defaults_are_the_publishers(client, harness):
    client.chat.completions.create(model=MODEL, messages=HELLO)
    expected = {"temperature": 0.7, "top_p": 0.8, "top_k": 20, "repetition_penalty": 1.1}
    assert harness.triton.asked[0].sampling == expected


def test_parameters_that_change_nothing_are_accepted(client):
    client.chat.completions.create(
        model=MODEL,
        messages=HELLO,
        n=1,
        user="someone",
        metadata={"a": "b"},
        store=False,
        tools=[],
        response_format={"type": "text"},
        service_tier="auto",
        parallel_tool_calls=True,
    )
    client.completions.create(model=MODEL, prompt="a", n=1, best_of=1, echo=False, user="someone")


LOGPROBS = [
    {"72": {"logprob": -0.5, "rank": 1}, "73": {"logprob": -1.5, "rank": 2}},
    {"73": {"logprob": -0.25, "rank": 1}, "74": {"logprob": -2.0, "rank": 2}, "75": {"logprob": -9.0, "rank": 8}},
]


def logprobs_script(asked):
    async def script(asked):
        text = tiny_tokenizer().decode([72, 75])
        yield piece(text, [72, 75], logprobs=LOGPROBS)
        yield piece("", [], finish="stop", usage=usage(asked, 2))

    return script(asked)


@pytest.mark.parametrize("stream", [False, True])
def test_logprobs_of_a_chat(client, harness, stream):
    harness.triton.script = logprobs_script
    answer = client.chat.completions.create(model=MODEL, messages=HELLO, logprobs=True, top_logprobs=2, stream=stream)
    choices = [chunk.choices[0] for chunk in answer] if stream else answer.choices
    tokens = [token for choice in choices if choice.logprobs for token in choice.logprobs.content]
    texts = [tiny_tokenizer().decode([number]) for number in (72, 73, 74, 75)]
    assert [token.token for token in tokens] == [texts[0], texts[3]]
    assert [token.logprob for token in tokens] == [-0.5, -9.0]
    assert [[top.token for top in token.top_logprobs] for token in tokens] == [texts[:2], texts[1:3]]
    assert bytes(tokens[0].bytes).decode() == texts[0]


def test_logprobs_of_a_completion(client, harness):
    harness.triton.script = logprobs_script
    answer = client.completions.create(model=MODEL, prompt="a", logprobs=1)
    logprobs = answer.choices[0].logprobs
    texts = [tiny_tokenizer().decode([number]) for number in (72, 73, 75)]
    assert logprobs.tokens == [texts[0], texts[2]]
    assert logprobs.token_logprobs == [-0.5, -9.0]
    assert logprobs.top_logprobs == [{texts[0]: -0.5}, {texts[1]: -0.25, texts[2]: -9.0}]
    assert logprobs.text_offset == [0, 1]


def test_models_are_listed_and_described(client):
    assert [model.id for model in client.models.list()] == [MODEL, "tiny-base", "tiny-talker"]
    assert client.models.retrieve("tiny-base").owned_by == "appliance"
