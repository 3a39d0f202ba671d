"""Web pages of origins that the site lists may use the box, and no others."""

from __future__ import annotations

import httpx
import pytest

from appliance.address import Address
from appliance.auth.policy import Policy
from appliance.gateway.access.account import Limits
from appliance.gateway.access.door import DoorLimits
from tests.gateway.fake_triton import silent_after
from tests.gateway.keys import Keys, bearer
from tests.waiting import LIMIT_S

MODEL = "tiny-instruct"
CHAT = "/v1/chat/completions"
BODY = {"model": MODEL, "messages": [{"role": "user", "content": "a"}]}
LISTED, EXTENSION = "https://app.example.com", "chrome-extension://abcdef"
OTHERS = ["http://app.example.com", "https://app.example.com:8443", "https://evil.example", "null", ""]
PERMISSION = "access-control-allow-origin"
# What the SDKs of OpenAI and Anthropic send from a browser.
SENT = "authorization,content-type,x-api-key,anthropic-version,x-stainless-lang,x-stainless-retry-count"


@pytest.fixture
def keys(tmp_path) -> Keys:
    return Keys(tmp_path / "keys.json")


@pytest.fixture
def key(keys) -> str:
    return keys.make("infer")


@pytest.fixture
def box(make_harness, keys):
    # With its first key, the box requires keys.
    keys.make("infer")
    limits = DoorLimits(principal=Limits("this principal", requests_per_minute=6000))
    policy = Policy(keys=keys.file.path)
    return make_harness(
        cors_origins=(LISTED, EXTENSION), policy=policy, limits=limits, triton_http=Address("127.0.0.1", 0)
    )


@pytest.fixture
def http(box):
    with httpx.Client(base_url=box.url, timeout=LIMIT_S) as client:
        yield client


def asking(origin, method="POST"):
    wanted = {"access-control-request-method": method, "access-control-request-headers": SENT}
    return {"origin": origin, **wanted}


@pytest.mark.parametrize("path", [CHAT, "/v1/messages", "/v1/responses", "/v1/models", "/chat/completions/"])
@pytest.mark.parametrize("origin", [LISTED, EXTENSION])
def test_a_listed_page_gets_permission_without_a_key(http, origin, path):
    response = http.options(path, headers=asking(origin))
    assert response.status_code == 200
    assert response.headers[PERMISSION] == origin
    assert set(SENT.split(",")) <= set(response.headers["access-control-allow-headers"].split(","))
    assert "POST" in response.headers["access-control-allow-methods"]
    assert "access-control-allow-credentials" not in response.headers
    assert response.headers["x-request-id"]


def test_a_listed_page_may_reach_a_private_network(http):
    response = http.options(CHAT, headers={**asking(LISTED), "access-control-request-private-network": "true"})
    assert response.headers["access-control-allow-private-network"] == "true"


@pytest.mark.parametrize("origin", OTHERS)
def test_no_other_page_gets_permission(http, key, origin):
    for response in (
        http.options(CHAT, headers=asking(origin)),
        http.post(CHAT, json=BODY, headers={"origin": origin, **bearer(key)}),
        http.get("/v1/models", headers={"origin": origin}),
        http.get("/", headers={"origin": origin}),
    ):
        assert PERMISSION not in response.headers


def test_a_listed_page_reads_answers_and_their_headers(http, key):
    response = http.post(CHAT, json=BODY, headers={"origin": LISTED, **bearer(key)})
    assert (response.status_code, response.headers[PERMISSION]) == (200, LISTED)
    assert "Origin" in response.headers["vary"]
    exposed = response.headers["access-control-expose-headers"].split(", ")
    assert {"x-request-id", "x-ratelimit-remaining-requests", "appliance-schema-unheld", "retry-after"} <= set(exposed)
    assert response.headers["x-ratelimit-remaining-requests"]


def test_every_header_of_ours_can_be_read_by_a_page(http, key):
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "not": {}}}}
    response = http.post(CHAT, json={**BODY, "tools": [tool]}, headers={"origin": LISTED, **bearer(key)})
    ours = [name for name in response.headers if name.startswith(("appliance-", "x-ratelimit-", "x-request"))]
    assert set(ours) <= set(response.headers["access-control-expose-headers"].split(", "))


def test_a_listed_page_reads_errors(http, key):
    for response in (
        http.post(CHAT, json=BODY, headers={"origin": LISTED}),
        http.post(CHAT, json={}, headers={"origin": LISTED, **bearer(key)}),
        http.get("/nothing", headers={"origin": LISTED, **bearer(key)}),
    ):
        assert not response.is_success
        assert response.headers[PERMISSION] == LISTED


def test_a_listed_page_reads_a_stream(http, box, key):
    box.triton.script = silent_after("Hello")
    headers = {"origin": LISTED, **bearer(key)}
    with http.stream("POST", CHAT, json={**BODY, "stream": True}, headers=headers) as response:
        assert response.headers[PERMISSION] == LISTED
        assert any("Hello" in line for line in response.iter_lines())


def test_a_permission_replaces_no_key(http, box):
    assert http.post(CHAT, json=BODY, headers={"origin": LISTED}).status_code == 401
    assert box.triton.asked == []


def test_the_rules_for_hosts_and_content_types_stay(http, box, key):
    headers = {"origin": LISTED, **bearer(key)}
    response = http.post(CHAT, json=BODY, headers={**headers, "host": "evil.example"})
    assert response.status_code == 421
    assert http.post(CHAT, content=b"{}", headers={**headers, "content-type": "text/plain"}).status_code == 415
    assert box.triton.asked == []


def test_tritons_listener_has_the_same_rules(box):
    url = f"http://{box.gateway.triton_http.address}/v2/models/{MODEL}/generate"
    assert httpx.options(url, headers=asking(LISTED), timeout=LIMIT_S).headers[PERMISSION] == LISTED
    assert PERMISSION not in httpx.options(url, headers=asking("https://evil.example"), timeout=LIMIT_S).headers
