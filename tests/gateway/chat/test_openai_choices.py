"""Several answers to one prompt, filling in the middle, and what an answer cost, with the real `openai` client."""

from __future__ import annotations

import httpx
import openai
import pytest

from tests.gateway.fake_triton import endless, failure, piece, usage, words
from tests.gateway.tiny_artefact import FIM, tiny_tokenizer
from tests.waiting import wait_until

ASK = [{"role": "user", "content": "Say something"}]


async def by_number(asked):
    """Says which of the choices it is, token by token."""
    number = asked.request_id.rpartition("-")[2]
    for _ in range(3):
        yield piece(number, [1], logprobs=[{"1": {"logprob": -1.0}}] if "logprobs" in asked.sampling else None)
    drafts = {"accepted_draft_tokens": 2, "rejected_draft_tokens": int(number)}
    yield piece("", [], finish="stop", usage={**usage(asked, 3, cached_tokens=int(number)), **drafts})


def test_every_choice_comes_under_its_own_index(client, harness):
    harness.triton.script = by_number
    answer = client.chat.completions.create(model="tools", messages=ASK, n=3, seed=7)
    assert [(choice.index, choice.message.content) for choice in answer.choices] == [(0, "000"), (1, "111"), (2, "222")]
    seeds = [asked.sampling["seed"] for asked in sorted(harness.triton.asked, key=lambda asked: asked.request_id)]
    assert seeds[0] == 7
    assert len(set(seeds)) == 3
    assert len({asked.prompt_ids for asked in harness.triton.asked}) == 1
    prompt_tokens = len(harness.triton.asked[0].prompt_ids)
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (prompt_tokens, 9)
    assert answer.usage.prompt_tokens_details.cached_tokens == 0
    details = answer.usage.completion_tokens_details
    assert (details.accepted_prediction_tokens, details.rejected_prediction_tokens) == (6, 3)


def test_the_same_seed_gives_the_same_seeds(client, harness):
    for _ in range(2):
        client.completions.create(model="tools", prompt="a", n=2, seed=-5)
    first, second = harness.triton.asked[:2], harness.triton.asked[2:]
    assert {one.sampling["seed"] for one in first} == {one.sampling["seed"] for one in second}


def test_choices_without_a_seed_have_none(client, harness):
    client.chat.completions.create(model="tools", messages=ASK, n=2)
    assert all("seed" not in asked.sampling for asked in harness.triton.asked)


@pytest.mark.parametrize("logprobs", [False, True])
def test_choices_are_streamed_side_by_side(client, harness, logprobs):
    harness.triton.script = by_number
    chunks = list(client.chat.completions.create(model="tools", messages=ASK, n=2, stream=True, logprobs=logprobs))
    for index in (0, 1):
        own = [chunk.choices[0] for chunk in chunks if chunk.choices[0].index == index]
        assert own[0].delta.role == "assistant"
        assert "".join(choice.delta.content or "" for choice in own) == str(index) * 3
        assert own[-1].finish_reason == "stop"
        assert sum(len(choice.logprobs.content) for choice in own if choice.logprobs) == (3 if logprobs else 0)


def test_a_completion_has_choices_too(client, harness):
    harness.triton.script = by_number
    answer = client.completions.create(model="tools", prompt="a", n=2, logprobs=0)
    assert [choice.text for choice in answer.choices] == ["000", "111"]
    assert answer.choices[1].logprobs.text_offset == answer.choices[0].logprobs.text_offset


def test_calls_of_choices_do_not_mix(client, harness):
    tool = {"type": "function", "function": {"name": "f"}}
    harness.triton.script = words("<tool_call>\n", '{"name": "f", "argu', 'ments": {}}', "\n</tool_call>")
    answer = client.chat.completions.create(model="tools", messages=ASK, n=2, tools=[tool])
    calls = [choice.message.tool_calls for choice in answer.choices]
    assert [len(each) for each in calls] == [1, 1]
    assert calls[0][0].id != calls[1][0].id


def test_a_choice_that_fails_ends_the_answer_and_frees_the_others(client, harness):
    async def script(asked):
        if asked.request_id.endswith("-1"):
            yield failure("OverloadedError: the queue is full")
            return
        async for response in endless()(asked):
            yield response

    harness.triton.script = script
    with pytest.raises(openai.RateLimitError):
        client.chat.completions.create(model="tools", messages=ASK, n=3)
    wait_until(lambda: harness.triton.running == 0)


def test_a_client_that_leaves_frees_every_choice(client, harness):
    harness.triton.script = endless()
    with client.chat.completions.create(model="tools", messages=ASK, n=3, stream=True) as stream:
        next(iter(stream))
        wait_until(lambda: harness.triton.running == 3)
    wait_until(lambda: harness.triton.running == 0)


def test_what_comes_before_and_after_a_gap_is_put_around_it(client, harness):
    client.completions.create(model="tools", prompt="def f(", suffix="return x")
    encode = tiny_tokenizer(more=True).encode
    before, after, middle = FIM
    assert list(harness.triton.asked[0].prompt_ids) == encode(f"{before}def f({after}return x{middle}").ids


def test_a_gap_may_follow_tokens_or_nothing(client, harness):
    token = tiny_tokenizer(more=True).token_to_id
    client.completions.create(model="tools", prompt=[1, 2], suffix="a")
    client.completions.create(model="tools", prompt="", suffix="a")
    (a,) = tiny_tokenizer().encode("a").ids
    prefix, suffix, middle = map(token, FIM)
    assert harness.triton.asked[0].prompt_ids == (prefix, 1, 2, suffix, a, middle)
    assert harness.triton.asked[1].prompt_ids == (prefix, suffix, a, middle)


def test_an_empty_suffix_asks_for_nothing(client, harness):
    client.completions.create(model="tools", prompt="a", suffix="")
    assert list(harness.triton.asked[0].prompt_ids) == tiny_tokenizer().encode("a").ids


def test_a_prefix_that_does_not_fit_is_refused(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(model="tools", prompt="a" * 5000, suffix="a")
    assert caught.value.code == "context_length_exceeded"


def test_usage_says_how_long_each_part_took(client):
    answer = client.chat.completions.create(model="tools", messages=ASK)
    assert answer.usage.model_extra == {
        "queue_time": 0.0,
        "prompt_time": 0.1,
        "completion_time": 0.2,
        "total_time": 0.3,
    }
    options = {"stream": True, "stream_options": {"include_usage": True}}
    chunks = list(client.completions.create(model="tools", prompt="a", **options))
    assert chunks[-1].usage.model_extra["total_time"] == 0.3


def test_embeddings_say_what_is_missing(client, http: httpx.Client):
    with pytest.raises(openai.BadRequestError, match="embedding"):
        client.embeddings.create(model="tools", input="a")
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="text-embedding-3-small", input="a")
    response = http.post("/v1/embeddings", json={"input": "a"})
    assert (response.status_code, response.json()["error"]["param"]) == (400, "model")
