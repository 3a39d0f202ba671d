"""Cheap calls: tokens, and how long a request would wait."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.gateway.fake_triton import endless, piece, usage
from tests.gateway.harness import Harness
from tests.gateway.tiny_artefact import tiny_tokenizer
from tests.waiting import LIMIT_S, wait_until

MODEL = "tiny-instruct"


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_a_text_becomes_tokens_and_text_again(http, harness, prefix):
    answer = http.post(f"{prefix}/tokenize", json={"model": MODEL, "prompt": "Hé", "return_token_strs": True}).json()
    ids = tiny_tokenizer().encode("Hé").ids
    assert answer == {"count": 3, "max_model_len": 512, "tokens": ids, "token_strs": ["H", "Ã", "©"]}
    assert http.post(f"{prefix}/detokenize", json={"model": MODEL, "tokens": ids}).json() == {"prompt": "Hé"}
    assert harness.triton.asked == []


def test_a_conversation_becomes_the_tokens_that_a_chat_would_have(client, http, harness):
    messages = [{"role": "user", "content": "Say hello"}]
    answer = http.post("/v1/tokenize", json={"model": MODEL, "messages": messages}).json()
    client.chat.completions.create(model=MODEL, messages=messages)
    assert answer["tokens"] == list(harness.triton.asked[0].prompt_ids)
    assert answer["token_strs"] is None


def test_the_tokenizer_is_described_as_in_vllm(http, harness, artefacts):
    told = http.get("/tokenizer_info", params={"model": MODEL}).json()
    assert told["chat_template"] == (artefacts[0] / "chat_template.jinja").read_text(encoding="utf-8")
    (end,) = http.post("/tokenize", json={"model": MODEL, "prompt": told["eos_token"]}).json()["tokens"]
    assert end in harness.gateway._services.models.get(MODEL).manifest.generation.eos_token_ids
    base = http.get("/tokenizer_info", params={"model": "tiny-base"}).json()
    assert base["chat_template"] is None
    assert http.get("/tokenizer_info", params={"model": "other"}).status_code == 404


def test_a_request_without_a_model_needs_a_box_with_one_model(http, alone):
    for method, path, body in (
        ("POST", "/tokenize", {"prompt": "a"}),
        ("POST", "/detokenize", {"tokens": [1]}),
        ("GET", "/tokenizer_info", None),
    ):
        answer = http.request(method, path, json=body)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")
        assert httpx.request(method, f"{alone.url}{path}", json=body, timeout=LIMIT_S).status_code == 200


@pytest.fixture
def alone(loop_thread, artefacts):
    harness = Harness(loop_thread, artefacts[:1], drain_s=0.2)
    harness.wait_until_ready()
    yield harness
    harness.close()


def test_special_tokens_are_written_out(http):
    ids = tiny_tokenizer().encode("<|im_end|>").ids
    assert len(ids) == 1
    assert http.post("/v1/detokenize", json={"model": MODEL, "tokens": ids}).json() == {"prompt": "<|im_end|>"}


def test_a_text_of_any_length_is_told(http):
    assert http.post("/v1/tokenize", json={"model": MODEL, "prompt": "x" * 5000}).json()["count"] == 5000
    assert http.post("/v1/tokenize", json={"model": MODEL, "prompt": ""}).json()["count"] == 0


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/tokenize", {"prompt": "a", "messages": [{"role": "user", "content": "a"}]}, "prompt"),
        ("/v1/tokenize", {}, "prompt"),
        ("/v1/tokenize", {"prompt": "a", "add_generation_prompt": True}, "add_generation_prompt"),
        ("/v1/tokenize", {"messages": [{"role": "user", "content": "a"}], "add_special_tokens": True}, "add_special"),
        ("/v1/tokenize", {"prompt": ["a"]}, "prompt"),
        ("/v1/tokenize", {"prompt": "a", "chat_template": "x"}, "chat_template"),
        ("/v1/detokenize", {"tokens": [1, 100_000]}, "tokens"),
        ("/v1/detokenize", {"tokens": [-1]}, "tokens"),
        ("/v1/detokenize", {"tokens": "a"}, "tokens"),
    ],
)
def test_a_wrong_question_is_named(http, path, body, param):
    response = http.post(path, json={"model": MODEL, **body})
    assert response.status_code == 400
    assert response.json()["error"]["param"].startswith(param)


def test_questions_are_answered_while_there_is_no_room_for_requests(make_harness):

    harness = make_harness(max_requests=1, slots=(1, 2, 3))
    harness.triton.script = endless()
    with httpx.Client(base_url=harness.url, timeout=LIMIT_S) as http:
        body = {"model": MODEL, "prompt": "a", "stream": True}
        with http.stream("POST", "/v1/completions", json=body):
            wait_until(lambda: harness.triton.running == 1)
            assert http.post("/v1/completions", json=body).status_code == 429
            assert http.post("/v1/tokenize", json={"model": MODEL, "prompt": "a"}).json()["count"] == 1
            counted = http.post(
                "/v1/messages/count_tokens", json={"model": MODEL, "messages": [{"role": "user", "content": "a"}]}
            )
            assert counted.status_code == 200
            queue = http.get(f"/v1/models/{MODEL}/queue").json()
            assert (queue["requests"], queue["slots"], queue["wait_s"]) == (1, 1, None)
            other = http.get("/v1/models/tiny-base/queue").json()
            assert (other["requests"], other["slots"], other["wait_s"]) == (0, 2, 0)
        wait_until(lambda: http.get(f"/v1/models/{MODEL}/queue").json()["requests"] == 0)


def test_a_wait_is_estimated_from_what_has_finished(make_harness):

    harness = make_harness(slots=(1, 2, 3))
    gate = asyncio.Event()

    async def script(asked):
        if asked.stream:
            yield piece("a", [1])
            await gate.wait()
        yield piece("", [], finish="stop", usage={**usage(asked, 1), "prefill_s": 1.0, "decode_s": 2.0})

    harness.triton.script = script
    with httpx.Client(base_url=harness.url, timeout=LIMIT_S) as http:
        body = {"model": MODEL, "prompt": "a"}
        http.post("/v1/completions", json=body)
        assert http.get(f"/v1/models/{MODEL}/queue").json() == {
            "object": "queue",
            "model": MODEL,
            "requests": 0,
            "slots": 1,
            "wait_s": 0.0,
            "basis": {"finished_requests": 1, "median_service_s": 3.0},
        }
        with http.stream("POST", "/v1/completions", json={**body, "stream": True}) as stream:
            assert http.get(f"/v1/models/{MODEL}/queue").json()["wait_s"] == 3.0
            harness.run(_set(gate))
            stream.read()
        assert http.get(f"/v1/models/{MODEL}/queue").json()["basis"]["finished_requests"] == 2


async def _set(event: asyncio.Event) -> None:
    event.set()


def test_the_queue_of_an_unknown_model_is_not_found(http):
    assert http.get("/v1/models/gpt/queue").status_code == 404
