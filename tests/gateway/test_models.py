"""The models on offer as the real clients of both APIs list them, and the ids that every answer has."""

from __future__ import annotations

import datetime as dt

import anthropic
import openai
import pytest

from appliance.config import ModelConfig
from tests.gateway.fake_triton import refusal, words

NAMES = ["tiny-instruct", "tiny-base", "tiny-talker"]
VERSION = {"anthropic-version": "2023-06-01"}
HELLO = [{"role": "user", "content": "Say hello"}]


def test_openais_client_lists_and_describes_the_models(client):
    assert [model.id for model in client.models.list()] == NAMES
    model = client.models.retrieve("tiny-base")
    assert (model.id, model.object, model.owned_by) == ("tiny-base", "model", "appliance")


def test_a_model_tells_whether_it_chats_and_whether_its_thoughts_can_be_switched(http):
    found = {model["id"]: model["capabilities"] for model in http.get("/v1/models").json()["data"]}
    assert found == {
        "tiny-instruct": {"chat": True, "thinking_switch": False},
        "tiny-base": {"chat": False, "thinking_switch": False},
        "tiny-talker": {"chat": True, "thinking_switch": True},
    }


def test_anthropics_client_lists_the_models(claude):
    page = claude.models.list()
    assert [model.id for model in page.data] == NAMES
    assert (page.first_id, page.last_id, page.has_more) == (NAMES[0], NAMES[-1], False)
    for model in page.data:
        assert (model.type, model.display_name, model.lifecycle) == ("model", model.id, "active")
        assert isinstance(model.created_at, dt.datetime)
        assert model.max_input_tokens > 0


def test_anthropics_client_lists_the_models_page_by_page(claude):
    assert [model.id for model in claude.models.list(limit=1)] == NAMES
    assert [model.id for model in claude.models.list(limit=2, after_id=NAMES[0]).data] == NAMES[1:]
    back = claude.models.list(limit=1, before_id=NAMES[2])
    assert ([model.id for model in back.data], back.has_more) == ([NAMES[1]], True)


def test_anthropics_client_describes_a_model(claude):
    for models in (claude.models, claude.beta.models):
        assert models.retrieve("tiny-base").display_name == "tiny-base"
    with pytest.raises(anthropic.NotFoundError) as caught:
        claude.models.retrieve("gpt")
    assert caught.value.body["error"]["type"] == "not_found_error"


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=x", "limit"),
        (f"limit={'9' * 5000}", "limit"),
        ("after_id=gpt", "after_id"),
        ("before_id=gpt", "before_id"),
        ("after_id=tiny-base&before_id=tiny-base", "before_id"),
    ],
)
def test_a_wrong_query_is_named(http, query, param):
    response = http.get(f"/v1/models?{query}", headers=VERSION)
    assert response.status_code == 400
    assert param in response.json()["error"]["message"]


def test_a_list_beyond_the_last_model_is_empty(http):
    page = http.get("/v1/models?after_id=tiny-talker", headers=VERSION).json()
    assert page == {"data": [], "first_id": None, "last_id": None, "has_more": False}


def ask_messages(http, **changes):
    body = {"model": "tiny-instruct", "max_tokens": 5, "messages": HELLO, **changes}
    return http.post("/v1/messages", json=body, headers=VERSION)


def ask_chat(http, **changes):
    return http.post("/v1/chat/completions", json={"model": "tiny-instruct", "messages": HELLO, **changes})


@pytest.mark.parametrize("ask", [ask_messages, ask_chat])
@pytest.mark.parametrize("changes", [{}, {"stream": True}, {"model": "gpt"}, {"temprature": 1}])
def test_every_answer_has_the_request_id_under_both_names(http, harness, ask, changes):
    harness.triton.script = words("Hello")
    headers = ask(http, **changes).headers
    assert headers["request-id"] == headers["x-request-id"] != ""


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/gpt", "/v1/nothing", "/health/live", "/", "/openapi.json"])
def test_other_answers_have_it_too(http, path):
    headers = http.get(path).headers
    assert headers["request-id"] == headers["x-request-id"] != ""


def test_the_real_clients_find_it(client, claude, harness):
    harness.triton.script = words("Hello")
    message = claude.messages.create(model="tiny-instruct", max_tokens=5, messages=HELLO)
    assert message._request_id.startswith("req_")
    answer = client.chat.completions.create(model="tiny-instruct", messages=HELLO)
    assert answer._request_id.startswith("req_")
    with claude.messages.stream(model="tiny-instruct", max_tokens=5, messages=HELLO) as stream:
        assert stream.request_id.startswith("req_")
    harness.triton.script = refusal("EngineError: broken")
    with pytest.raises(anthropic.APIStatusError) as refused:
        claude.messages.create(model="tiny-instruct", max_tokens=5, messages=HELLO)
    assert refused.value.request_id.startswith("req_")
    with pytest.raises(openai.APIStatusError) as failed:
        client.chat.completions.create(model="tiny-instruct", messages=HELLO)
    assert failed.value.request_id.startswith("req_")


def test_a_failure_has_the_shape_that_the_client_understands(http):
    theirs = http.get("/v1/nothing", headers=VERSION).json()
    assert (theirs["type"], theirs["error"]["type"]) == ("error", "not_found_error")
    assert http.get("/v1/nothing").json()["error"]["code"] == "not_found"


def test_an_alias_is_another_name_of_a_model(make_harness):
    own = ModelConfig("tiny-instruct", aliases=("gpt-4o-mini", "openai/gpt"))
    box = make_harness(tables=(own, ModelConfig("not-served", aliases=("gone",))))
    with openai.OpenAI(base_url=f"{box.url}/v1", api_key="unused", max_retries=0) as client:
        assert [model.id for model in client.models.list()] == [*NAMES, "gpt-4o-mini", "openai/gpt"]
        for alias in ("gpt-4o-mini", "openai/gpt"):
            card = client.models.retrieve(alias)
            assert (card.id, card.root) == (alias, "tiny-instruct")
            assert client.chat.completions.create(model=alias, messages=HELLO).model == "tiny-instruct"
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("gone")
    assert {asked.model for asked in box.triton.asked} == {"tiny-instruct"}


def test_a_model_says_what_it_is(http):
    card = http.get("/v1/models/tiny-instruct").json()
    assert (card["task"], card["root"], card["ready"]) == ("text-generation", "tiny-instruct", True)
    assert len(card["artefact_sha256"]) == 64
