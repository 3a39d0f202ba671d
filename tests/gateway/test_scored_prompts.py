"""What evaluation programs ask of completions: prompts echoed and scored, several in one request, and token ids."""

from __future__ import annotations

import re
import threading
from typing import Any

import openai
import pytest

from appliance.errors import RequestError
from appliance.gateway.log_probabilities import check_of_answers
from appliance.gateway.openai.completion_encoder import CompletionEncoder
from tests.gateway.fake_triton import piece, usage
from tests.gateway.tiny_artefact import tiny_tokenizer
from tests.refusals import refused

MODEL = "tiny-instruct"
TEXT = "The café 🎉"
IDS = tiny_tokenizer().encode(TEXT).ids
END = tiny_tokenizer().token_to_id("<|im_end|>")
SAID = tiny_tokenizer().encode(" yes").ids


def scores(ids, start):
    """What the model says of the tokens of a prompt, from the second: the likeliest is always token 7."""
    return [
        {"7": {"logprob": -0.5, "rank": 1}, str(token): {"logprob": -1.0 - at, "rank": 2}}
        for at, token in enumerate(ids, start=start)
    ]


async def evaluated(asked: Any):
    """Scores the prompt in pieces of five, then says " yes" as far as it is asked for."""
    if "prompt_logprobs" in asked.sampling:
        rest = asked.prompt_ids[1:]
        for start in range(0, len(rest), 5):
            yield piece("", prompt_logprobs=scores(rest[start : start + 5], start))
    said = SAID[: asked.sampling.get("max_tokens", len(SAID))]
    for token in said:
        listed = [{str(token): {"logprob": -0.25, "rank": 1}}] if "logprobs" in asked.sampling else None
        yield piece(tiny_tokenizer().decode([token]), [token], logprobs=listed)
    yield piece("", [], finish="length", usage=usage(asked, len(said)))


@pytest.fixture(autouse=True)
def _scores_prompts(harness):
    harness.triton.script = evaluated


def test_what_lm_evaluation_harness_sends_for_log_likelihoods(http, harness):
    # lm_eval 0.4.13, LocalCompletionsAPI._create_payload; the answer is read as in parse_logprobs.
    prompts = [IDS, IDS[:4], SAID]
    body = {"model": MODEL, "prompt": prompts, "temperature": 0, "max_tokens": 1, "logprobs": 1, "seed": 1234}
    answer = http.post("/v1/completions", json={**body, "echo": True}).raise_for_status().json()
    choices = sorted(answer["choices"], key=lambda choice: choice["index"])
    assert [choice["index"] for choice in choices] == [0, 1, 2]
    for choice, ids in zip(choices, prompts, strict=True):
        figures = choice["logprobs"]
        assert figures["token_logprobs"] == [None, *(-1.0 - at for at in range(len(ids) - 1)), -0.25]
        assert figures["top_logprobs"][0] is None
        assert [max(one.values()) for one in figures["top_logprobs"][1:]] == [-0.5] * (len(ids) - 1) + [-0.25]
        assert {len(values) for values in figures.values()} == {len(ids) + 1}
    assert {asked.prompt_ids for asked in harness.triton.asked} == set(map(tuple, prompts))
    assert {asked.sampling["seed"] for asked in harness.triton.asked} == {1234}
    assert answer["usage"]["prompt_tokens"] == sum(map(len, prompts))
    assert answer["usage"]["completion_tokens"] == 3


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("prompt", [TEXT, IDS], ids=["text", "tokens"])
def test_an_echo_is_the_prompt_with_the_places_of_its_tokens(client, prompt, stream):
    answer = client.completions.create(model=MODEL, prompt=prompt, echo=True, logprobs=2, max_tokens=2, stream=stream)
    choices = [chunk.choices[0] for chunk in answer] if stream else answer.choices
    text = "".join(choice.text for choice in choices)
    assert text == TEXT + tiny_tokenizer().decode(SAID[:2])
    found = [choice.logprobs for choice in choices if choice.logprobs]
    offsets = [offset for one in found for offset in one.text_offset]
    characters = [at for at, character in enumerate(text) for _ in character.encode()]
    assert offsets == characters
    assert [token for one in found for token in one.tokens][:3] == ["T", "h", "e"]
    assert [value for one in found for value in one.token_logprobs][:2] == [None, -1.0]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_an_echo_without_log_probabilities_scores_nothing(client, harness, stream):
    answer = client.completions.create(model=MODEL, prompt=["a", TEXT], echo=True, n=2, max_tokens=2, stream=stream)
    choices = [chunk.choices[0] for chunk in answer] if stream else answer.choices
    said = tiny_tokenizer().decode(SAID[:2])
    texts = {index: "".join(c.text for c in choices if c.index == index) for index in range(4)}
    assert texts == {0: f"a{said}", 1: f"a{said}", 2: TEXT + said, 3: TEXT + said}
    assert all("prompt_logprobs" not in asked.sampling for asked in harness.triton.asked)
    assert [len(asked.prompt_ids) for asked in sorted(harness.triton.asked, key=lambda one: one.request_id)] == [
        1,
        1,
        len(IDS),
        len(IDS),
    ]


def test_a_special_token_of_a_prompt_is_echoed_by_its_name(client):
    answer = client.completions.create(model=MODEL, prompt=[*IDS[:3], END], echo=True, max_tokens=0, logprobs=0)
    (choice,) = answer.choices
    assert choice.text == "The<|im_end|>"
    assert choice.logprobs.text_offset == [0, 1, 2, 3]


def test_no_token_with_an_echo_is_the_scored_prompt_alone(client, harness):
    answer = client.completions.create(model=MODEL, prompt=TEXT, echo=True, logprobs=1, max_tokens=0)
    (choice,) = answer.choices
    assert (choice.text, choice.finish_reason) == (TEXT, "length")
    assert len(choice.logprobs.tokens) == len(IDS)
    assert harness.triton.asked[0].sampling["max_tokens"] == 0
    assert answer.usage.completion_tokens == 0


def test_no_token_without_an_echo_is_an_empty_answer(client):
    answer = client.completions.create(model=MODEL, prompt=TEXT, max_tokens=0)
    assert (answer.choices[0].text, answer.choices[0].finish_reason) == ("", "length")


def test_prompt_logprobs_have_vllms_format(client):
    answer = client.completions.create(model=MODEL, prompt=IDS, max_tokens=1, extra_body={"prompt_logprobs": 1})
    first, second, *_ = answer.choices[0].prompt_logprobs
    assert first is None
    assert second[str(IDS[1])] == {"logprob": -1.0, "rank": 2, "decoded_token": "h"}
    assert second["7"]["rank"] == 1
    assert len(answer.choices[0].prompt_logprobs) == len(IDS)


def test_prompt_logprobs_of_a_chat_belong_to_the_answer(client, harness):
    body = {"prompt_logprobs": 0, "return_token_ids": True}
    answer = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "a"}], extra_body=body)
    prompt = list(harness.triton.asked[0].prompt_ids)
    assert answer.prompt_token_ids == prompt
    assert answer.choices[0].token_ids == SAID
    assert answer.prompt_logprobs[0] is None
    assert [list(entry) for entry in answer.prompt_logprobs[1:]] == [[str(token)] for token in prompt[1:]]


@pytest.mark.parametrize("path", ["completions", "chat/completions"])
def test_prompt_logprobs_of_a_stream_are_refused_by_name(http, path):
    asked = {"prompt": "a"} if path == "completions" else {"messages": [{"role": "user", "content": "a"}]}
    answer = http.post(f"/v1/{path}", json={"model": MODEL, "prompt_logprobs": 1, "stream": True, **asked})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "prompt_logprobs")


def test_the_ids_of_a_streamed_completion_are_those_of_its_prompt_and_answer(client):
    chunks = list(
        client.completions.create(model=MODEL, prompt=[IDS, SAID], stream=True, extra_body={"return_token_ids": True})
    )
    for index, prompt in ((0, IDS), (1, SAID)):
        own = [chunk.choices[0].model_extra for chunk in chunks if chunk.choices[0].index == index]
        assert own[0]["prompt_token_ids"] == prompt
        assert [token for extra in own for token in extra.get("token_ids", ())] == SAID


def test_the_ids_of_a_streamed_chat_are_those_of_its_prompt_and_answer(client, harness):
    asked = {"messages": [{"role": "user", "content": "a"}], "extra_body": {"return_token_ids": True}}
    chunks = list(client.chat.completions.create(model=MODEL, stream=True, **asked))
    assert chunks[0].prompt_token_ids == list(harness.triton.asked[0].prompt_ids)
    assert [token for one in chunks for token in one.choices[0].model_extra.get("token_ids", ())] == SAID


def test_tokens_can_be_named_by_their_ids(client):
    body: dict[str, Any] = {"return_tokens_as_token_ids": True}
    plain = client.completions.create(model=MODEL, prompt=TEXT, logprobs=1, extra_body=body).choices[0].logprobs
    assert plain.tokens == [f"token_id:{token}" for token in SAID]
    assert [list(one) for one in plain.top_logprobs] == [[name] for name in plain.tokens]
    messages = [{"role": "user", "content": "a"}]
    chat = client.chat.completions.create(model=MODEL, messages=messages, logprobs=True, extra_body=body)
    assert [one.token for one in chat.choices[0].logprobs.content] == plain.tokens
    assert bytes(byte for one in chat.choices[0].logprobs.content for byte in one.bytes) == b" yes"


def test_each_event_can_have_the_usage_so_far(client):
    options: Any = {"include_usage": True, "continuous_usage_stats": True}
    chunks = list(client.completions.create(model=MODEL, prompt=TEXT, stream=True, stream_options=options))
    assert all(chunk.usage is not None for chunk in chunks)
    counts = [chunk.usage.completion_tokens for chunk in chunks]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (1, len(SAID))
    assert {chunk.usage.prompt_tokens for chunk in chunks} == {len(IDS)}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"prompt": []}, "prompt"),
        ({"prompt": [[]]}, "prompt"),
        ({"prompt": ["a", ""]}, "prompt"),
        ({"prompt": ["a"] * 129}, "prompt"),
        ({"prompt": ["a"] * 65, "n": 2}, "prompt"),
        ({"prompt": ["a", [1]]}, "prompt[1]"),
        ({"prompt": "a", "prompt_logprobs": 21}, "prompt_logprobs"),
        ({"prompt": "a", "prompt_logprobs": -1}, "prompt_logprobs"),
        ({"prompt": "a", "suffix": "b", "echo": True}, "echo"),
        ({"prompt": "a", "max_tokens": -2}, "max_tokens"),
        (
            {"prompt": "a", "stream": True, "stream_options": {"continuous_usage_stats": True}},
            "stream_options.continuous_usage_stats",
        ),
        ({"prompt": "a", "best_of": 3, "n": 2}, "best_of"),
    ],
)
def test_what_contradicts_itself_or_is_too_much_is_refused_by_name(http, body, param):
    answer = http.post("/v1/completions", json={"model": MODEL, **body})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize(
    "several", [{"prompt": [[7] * 60] * 120, "echo": True, "logprobs": 20}, {"prompt": [[7] * 60] * 15, "n": 8}]
)
def test_the_log_probabilities_of_all_prompts_of_a_request_are_limited_together(http, harness, several):
    wanted = {} if "echo" in several else {"prompt_logprobs": 20}
    answer = http.post("/v1/completions", json={"model": MODEL, "max_tokens": 1, **several, **wanted})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "prompt_logprobs")
    assert harness.triton.asked == []


@pytest.mark.parametrize("more", [{}, {"max_tokens": 200}, {"max_tokens": 200, "echo": True}])
def test_the_log_probabilities_of_a_whole_answer_are_limited(http, harness, more):
    asked = {"model": MODEL, "prompt": [[7]] * 128, "logprobs": 20, **more}
    answer = http.post("/v1/completions", json=asked)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "logprobs")
    assert harness.triton.asked == []
    fitting = int(re.search(r"max_tokens to at most (\d+)", answer.json()["error"]["message"])[1])
    for fits in ({"max_tokens": fitting}, {"stream": True}):
        assert http.post("/v1/completions", json={**asked, **fits}).status_code == 200


@pytest.mark.parametrize("most", [None, 1 << 30])
def test_an_answer_without_a_limit_may_have_the_remaining_context(most):
    sampling = {"logprobs": 19} | ({} if most is None else {"max_tokens": most})
    names = {"logprobs": "top_logprobs", "max_tokens": "max_completion_tokens"}
    prompt, fitting = [7] * 100, (1 << 19) // 20
    check_of_answers([prompt], sampling, 1, fitting + 100, names)
    check_of_answers([prompt], {**sampling, "max_tokens": fitting // 8}, 8, 1 << 20, names)
    with refused(RequestError, "max_completion_tokens", fitting) as error:
        check_of_answers([prompt], sampling, 1, fitting + 101, names)
    assert error.value.param == "top_logprobs"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_the_log_probabilities_of_prompts_are_encoded_beside_the_event_loop(http, harness, monkeypatch, stream):
    threads = []
    encode = CompletionEncoder._prompt_logprobs

    def encoding(encoder: CompletionEncoder, choice: int) -> dict[str, Any]:
        threads.append(threading.get_ident())
        return encode(encoder, choice)

    monkeypatch.setattr(CompletionEncoder, "_prompt_logprobs", encoding)
    asked = {"model": MODEL, "echo": True, "logprobs": 1, "max_tokens": 1, "prompt": IDS, "stream": stream}
    http.post("/v1/completions", json=asked).raise_for_status()
    assert len(threads) == 1
    assert harness.run(_thread()) not in threads


async def _thread() -> int:
    return threading.get_ident()


def test_a_prompt_cannot_be_cut_to_nothing(http, harness):
    answer = http.post("/v1/completions", json={"model": MODEL, "prompt": TEXT, "truncate_prompt_tokens": 0})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "truncate_prompt_tokens")
    assert harness.triton.asked == []


@pytest.mark.parametrize(("wanted", "kept"), [(3, 3), (1, 1), (100, len(IDS)), (-1, len(IDS))])
def test_a_prompt_is_cut_to_its_last_tokens(client, harness, wanted, kept):
    for prompt in (TEXT, IDS):
        answer = client.completions.create(
            model=MODEL, prompt=prompt, echo=True, max_tokens=1, extra_body={"truncate_prompt_tokens": wanted}
        )
        assert harness.triton.asked[-1].prompt_ids == tuple(IDS[-kept:])
        assert answer.usage.prompt_tokens == kept


def test_a_prompt_that_is_too_long_can_be_cut_to_what_fits(client, harness):
    ids = IDS * 2000
    with pytest.raises(openai.BadRequestError):
        client.completions.create(model=MODEL, prompt=ids, max_tokens=10)
    client.completions.create(model=MODEL, prompt=ids, max_tokens=10, extra_body={"truncate_prompt_tokens": -1})
    (asked,) = harness.triton.asked
    assert asked.prompt_ids == tuple(ids[-len(asked.prompt_ids) :])
    assert asked.sampling["max_tokens"] == 10


@pytest.mark.parametrize("wanted", [-1, 1 << 30])
@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_chat_without_a_limit_has_the_remaining_context(http, harness, name, wanted):
    asked = {"model": MODEL, "messages": [{"role": "user", "content": "a"}], name: wanted}
    http.post("/v1/chat/completions", json=asked).raise_for_status()
    assert "max_tokens" not in harness.triton.asked[0].sampling
