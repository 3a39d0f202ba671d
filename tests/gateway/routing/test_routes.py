"""Requests for a route: which model answers, and what the client sees of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anthropic
import grpc
import httpx
import openai
import pytest

from appliance.gateway.proto.appliance.v1 import inference_pb2 as pb
from appliance.gateway.proto.appliance.v1.inference_pb2_grpc import InferenceServiceStub
from appliance.layout import Layout
from appliance.site.policy import Policy
from appliance.site.routes import Routes
from tests.gateway.fake_triton import Asked, Script, failure, piece, words
from tests.gateway.harness import Harness
from tests.waiting import wait_until

ROUTE, MODEL, OTHER = "assistant", "tiny-instruct", "tiny-talker"
BODY = {"model": ROUTE, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}
MakeBox = Callable[..., "Box"]


class Box:
    """A gateway with a route of two models, and a script for each model."""

    def __init__(
        self, make_harness: Callable[..., Harness], root: Path, models: tuple[str, ...] = (MODEL, OTHER)
    ) -> None:
        self.layout = Layout(root, root)
        Routes({ROUTE: models}).save(self.layout.routes)
        self.socket = root / "admin.sock"
        self.harness = make_harness(layout=self.layout, socket=self.socket)
        self.scripts: dict[str, Script] = {}
        self.harness.triton.script = self._script
        self.asked = self.harness.triton.asked
        self.client = openai.OpenAI(base_url=f"{self.harness.url}/v1", api_key="none", max_retries=0)

    async def _script(self, asked: Asked) -> AsyncIterator[Any]:
        async for response in self.scripts.get(asked.model, words(f"I am {asked.model}."))(asked):
            yield response

    def post(self, body: dict[str, Any] | None = None, path: str = "/v1/chat/completions") -> httpx.Response:
        return httpx.post(f"{self.harness.url}{path}", json=body or BODY)

    def decide(self, policy: Policy) -> None:
        policy.save(self.layout.policy)
        self.admin("POST", "/decisions")

    def admin(self, method: str, path: str) -> Any:
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(self.socket)), base_url="http://box") as client:
            return client.request(method, path).raise_for_status().json()


@pytest.fixture
def box(make_harness: Callable[..., Harness], tmp_path: Path) -> Box:
    return Box(make_harness, tmp_path)


def dies(message: str = "the process of the model has ended") -> Script:
    async def script(_asked: Asked) -> AsyncIterator[Any]:
        yield failure(f"EngineError: {message}")

    return script


def dies_after(text: str) -> Script:
    async def script(_asked: Asked) -> AsyncIterator[Any]:
        yield piece(text, [1])
        await asyncio.sleep(0.05)
        yield failure("EngineError: the process of the model has ended")

    return script


def test_the_first_model_answers_and_is_named(box: Box):
    answer = box.post()
    assert answer.json()["model"] == answer.headers["appliance-model"] == MODEL
    assert answer.json()["choices"][0]["message"]["content"] == f"I am {MODEL}."


@pytest.mark.parametrize("stream", [False, True])
def test_if_it_fails_before_its_first_token_the_next_model_answers_the_same_request(box: Box, stream: bool):
    box.scripts[MODEL] = dies()
    answer = box.post({**BODY, "stream": stream})
    assert answer.status_code == 200
    assert answer.headers["appliance-model"] == OTHER
    assert OTHER in answer.text
    assert [asked.model for asked in box.asked] == [MODEL, OTHER]


def test_a_stream_that_has_begun_never_changes_its_model(box: Box):
    box.scripts[MODEL] = dies_after("I was")
    stream = box.client.chat.completions.create(stream=True, **BODY)  # type: ignore[call-overload]
    assert next(stream).model == MODEL
    with pytest.raises(openai.APIError):
        list(stream)
    assert [asked.model for asked in box.asked] == [MODEL]


def test_other_apis_have_the_route_too(box: Box):
    box.scripts[MODEL] = dies()
    completion = box.client.completions.create(model=ROUTE, prompt="Once")
    response = box.client.responses.create(model=ROUTE, input="Hi")
    claude = anthropic.Anthropic(base_url=box.harness.url, api_key="none", max_retries=0)
    message = claude.messages.create(model=ROUTE, max_tokens=5, messages=[{"role": "user", "content": "Hi"}])
    assert {completion.model, response.model, message.model} == {OTHER}
    with grpc.insecure_channel(box.harness.grpc_address) as channel:
        call = InferenceServiceStub(channel).Chat(
            pb.ChatRequest(model=ROUTE, messages=[pb.Message(role="user", content="Hi")])
        )
        assert "".join(chunk.text for chunk in call) == f"I am {OTHER}."
        assert ("appliance-model", OTHER) in call.trailing_metadata()


def test_a_model_that_fails_several_times_gets_no_requests_until_its_pause_is_over(box: Box):
    box.scripts[MODEL] = dies()
    for _ in range(5):
        assert box.post().json()["model"] == OTHER
    assert [asked.model for asked in box.asked].count(MODEL) == 3
    assert box.admin("GET", "/routes")[ROUTE][MODEL]
    assert not box.admin("GET", "/routes")[ROUTE][OTHER]


def test_a_request_that_is_wrong_is_refused_by_the_first_model_alone(box: Box):
    box.scripts[MODEL] = lambda _asked: _failing("RequestError[top_p]: top_p is wrong")
    answer = box.post()
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "top_p")
    assert [asked.model for asked in box.asked] == [MODEL]
    assert box.post({**BODY, "messages": []}).status_code == 400


async def _failing(message: str) -> AsyncIterator[Any]:
    yield failure(message)


def test_if_no_model_can_answer_the_client_gets_the_reasons_and_when_to_try_again(box: Box):
    box.scripts = {MODEL: dies("first reason"), OTHER: dies("second reason")}
    answer = box.post()
    assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
    assert "first reason" in answer.text
    assert "second reason" in answer.text


def test_a_model_that_the_site_refuses_answers_nobody(box: Box):
    box.decide(Policy(models=(MODEL,)))
    assert box.post().json()["model"] == OTHER
    refused = box.post({**BODY, "model": MODEL})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "model_withdrawn")
    box.decide(Policy(models=(MODEL, OTHER)))
    assert box.post().status_code == 503
    box.decide(Policy())
    assert box.post().json()["model"] == MODEL


def test_the_order_can_change_at_run_time(box: Box):
    Routes({ROUTE: (OTHER, MODEL), "more": (MODEL,)}).save(box.layout.routes)
    assert box.post().json()["model"] == MODEL
    assert box.admin("POST", "/decisions") == {"routes": [ROUTE, "more"]}
    assert box.post().json()["model"] == OTHER
    assert box.post({**BODY, "model": "more"}).json()["model"] == MODEL


def test_the_models_page_lists_routes(box: Box):
    cards = {card["id"]: card for card in httpx.get(f"{box.harness.url}/v1/models").json()["data"]}
    assert (cards[ROUTE]["route"], cards[ROUTE]["ready"]) == ([MODEL, OTHER], True)
    assert httpx.get(f"{box.harness.url}/v1/models/{ROUTE}").json()["id"] == ROUTE
    tags = httpx.get(f"{box.harness.url}/api/tags").json()["models"]
    assert ROUTE in {tag["model"] for tag in tags}


def test_ollamas_api_has_routes_too(box: Box):
    box.scripts[MODEL] = dies()
    answer = box.post({**BODY, "model": f"{ROUTE}:latest", "stream": False}, "/api/chat")
    assert (answer.status_code, answer.json()["model"]) == (200, OTHER)


def test_a_route_with_a_model_that_the_box_does_not_serve_uses_the_others(
    make_harness: Callable[..., Harness], tmp_path: Path
):
    box = Box(make_harness, tmp_path, ("gone", OTHER))
    assert box.post().json()["model"] == OTHER
    assert box.admin("GET", "/routes")[ROUTE]["gone"]


def test_a_route_never_hides_a_model(make_harness: Callable[..., Harness], tmp_path: Path):
    box = Box(make_harness, tmp_path)
    Routes({MODEL: (OTHER,)}).save(box.layout.routes)
    box.admin("POST", "/decisions")
    assert box.post({**BODY, "model": MODEL}).json()["model"] == MODEL


def test_the_log_says_which_model_spoke_for_a_route(box: Box, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, logger="appliance.gateway")
    box.scripts[MODEL] = dies()
    box.post()
    wait_until(lambda: any("route" in fields(one) for one in caplog.records))
    (line,) = [fields(one) for one in caplog.records if "route" in fields(one)]
    assert (line["route"], line["model"], line["failed_models"]) == (ROUTE, OTHER, 1)


def fields(record: logging.LogRecord) -> dict[str, Any]:
    return getattr(record, "fields", {})
