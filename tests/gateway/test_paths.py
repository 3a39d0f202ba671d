"""The spellings of paths that clients use, and what unknown paths answer."""

from __future__ import annotations

from http.client import HTTPConnection

import anthropic
import httpx
import openai
import pytest

from appliance import __version__
from appliance.address import Address
from appliance.auth.policy import Policy
from tests.gateway.keys import Keys, bearer
from tests.waiting import LIMIT_S, wait_until

MODEL = "tiny-instruct"
HELLO = [{"role": "user", "content": "Say hello"}]
BODIES = {
    "chat/completions": {"model": MODEL, "messages": HELLO},
    "completions": {"model": MODEL, "prompt": "a"},
    "responses": {"model": MODEL, "input": "a"},
    "responses/input_tokens": {"model": MODEL, "input": "a"},
    "messages": {"model": MODEL, "max_tokens": 3, "messages": HELLO},
    "messages/count_tokens": {"model": MODEL, "messages": HELLO},
    "tokenize": {"model": MODEL, "prompt": "a"},
    "detokenize": {"model": MODEL, "tokens": [1]},
}
GETS = ["models", f"models/{MODEL}", f"models/{MODEL}/queue"]


@pytest.mark.parametrize("start", ["/v1/", "/"])
@pytest.mark.parametrize("end", ["", "/"])
@pytest.mark.parametrize("path", BODIES)
def test_a_path_is_served_with_a_slash_at_its_end_and_without_its_version(http, start, path, end):
    assert http.post(start + path + end, json=BODIES[path]).status_code == 200


@pytest.mark.parametrize("start", ["/v1/", "/"])
@pytest.mark.parametrize("end", ["", "/"])
@pytest.mark.parametrize("path", GETS)
def test_the_models_are_served_in_every_spelling(http, start, path, end):
    response = http.get(start + path + end)
    assert response.status_code == 200
    assert response.json() == http.get(f"/v1/{path}").json()
    assert http.head(start + path + end).status_code == 200


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
def test_openais_client_may_have_any_base_url(harness, suffix):
    with openai.OpenAI(base_url=harness.url + suffix, api_key="unused", max_retries=0) as client:
        assert client.chat.completions.create(model=MODEL, messages=HELLO).choices[0].message.content == "Hello world"
        assert client.models.list().data


def test_errors_without_the_version_have_the_format_of_their_api(http):
    assert http.post("/messages/", json={}).json()["type"] == "error"
    assert "param" in http.post("/chat/completions/", json={}).json()["error"]


@pytest.mark.parametrize("path", ["/health", "/health/", "/health/live/", "/health/ready/"])
def test_health_needs_no_key_in_any_spelling(make_harness, tmp_path, path):
    keys = Keys(tmp_path / "keys.json")
    keys.make("infer")
    box = make_harness(policy=Policy(keys=tmp_path / "keys.json"))
    for method in ("GET", "HEAD", "OPTIONS"):
        assert httpx.request(method, box.url + path, timeout=LIMIT_S).is_success


@pytest.mark.parametrize("path", ["/models", "/models/", "/v1/models/", "/metrics/", "/version", "/version/"])
def test_no_spelling_gets_past_the_key(make_harness, tmp_path, path):
    keys = Keys(tmp_path / "keys.json")
    key = keys.make("read")
    box = make_harness(policy=Policy(keys=tmp_path / "keys.json"))
    assert httpx.get(box.url + path, timeout=LIMIT_S).status_code == 401
    assert httpx.get(box.url + path, headers=bearer(key), timeout=LIMIT_S).status_code == 200


def test_health_says_when_the_model_is_gone(make_harness):
    box = make_harness()
    assert httpx.get(f"{box.url}/health", timeout=LIMIT_S).json() == {"status": "ok"}
    box.triton.ready = False
    wait_until(lambda: httpx.get(f"{box.url}/health", timeout=LIMIT_S).status_code == 503)


def test_the_version_is_as_vllm_tells_it(http):
    assert http.get("/version").json() == {"version": __version__}


def test_options_names_the_methods_of_a_path(http):
    response = http.options("/v1/chat/completions")
    assert (response.status_code, response.headers["allow"]) == (204, "POST")
    assert http.options("/nothing").status_code == 404


@pytest.mark.parametrize(
    ("path", "named"),
    [("/v1", "base URL"), ("/v1/v1/messages", "/v1"), ("/nothing", "docs/api.md")],
)
def test_an_unknown_path_has_a_hint(http, path, named):
    response = http.get(path)
    assert response.status_code == 404
    assert named in response.json()["error"]["message"]


def test_anthropics_client_with_a_version_in_its_base_url_learns_why(harness):
    with (
        anthropic.Anthropic(base_url=f"{harness.url}/v1", api_key="unused", max_retries=0) as client,
        pytest.raises(anthropic.NotFoundError, match="base URL"),
    ):
        client.messages.create(model=MODEL, max_tokens=3, messages=HELLO)


@pytest.mark.parametrize("path", ["/v2/health/live/", "/v2/health/ready/", f"/v2/models/{MODEL}/ready/"])
def test_a_slash_changes_nothing_on_tritons_listener(make_harness, path):
    box = make_harness(triton_http=Address("127.0.0.1", 0))
    assert httpx.get(f"http://{box.gateway.triton_http.address}{path}", timeout=LIMIT_S).status_code == 200


def test_the_target_of_no_path_is_answered(harness):
    connection = HTTPConnection(harness.url.removeprefix("http://"), timeout=LIMIT_S)
    connection.request("OPTIONS", "*")
    assert connection.getresponse().status == 404
    connection.close()
