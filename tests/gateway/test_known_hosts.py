"""Web pages of others: they get no permission to read, cannot send, and cannot come in under a name of their own."""

from __future__ import annotations

import json

import httpx
import pytest

from appliance.address import Address
from appliance.auth.policy import Policy
from appliance.errors import UsageError
from tests.gateway.keys import Keys
from tests.refusals import refused
from tests.waiting import LIMIT_S

MODEL = "tiny-instruct"
CHAT = "/v1/chat/completions"
BODY = {"model": MODEL, "messages": [{"role": "user", "content": "a"}]}
FOREIGN = {"origin": "http://evil.example"}


def permissions(response):
    return [name for name in response.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:3000", "http://127.0.0.1:1"])
def test_no_origin_gets_a_permission(http, origin):
    for response in (
        http.get("/", headers={"origin": origin}),
        http.get("/v1/models", headers={"origin": origin}),
        http.post(CHAT, json=BODY, headers={"origin": origin}),
        http.get("/nothing", headers={"origin": origin}),
    ):
        assert permissions(response) == []


def test_a_browser_that_asks_first_gets_no_permission(http, harness):
    asking = {**FOREIGN, "access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    response = http.options(CHAT, headers=asking)
    assert permissions(response) == []
    assert harness.triton.asked == []


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_what_a_browser_sends_without_asking_reaches_no_model(http, harness, kind):
    response = http.post(CHAT, content=json.dumps(BODY), headers={**FOREIGN, "content-type": kind})
    assert response.status_code == 415
    assert harness.triton.asked == []


@pytest.mark.parametrize("path", ["/", "/v1/models", "/health/live", "/page/page.js", "/nothing"])
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "EVIL.example.", "127.0.0.1.evil.example", "localhost.evil.example"]
)
def test_a_public_name_that_was_made_to_resolve_to_the_box_is_refused(http, path, host):
    response = http.get(path, headers={"host": host})
    assert response.status_code == 421
    assert response.json()["error"]["code"] == "unknown_host"
    assert response.headers["x-request-id"]


def test_a_request_to_a_public_name_reaches_no_model(http, harness):
    assert http.post(CHAT, json=BODY, headers={"host": "evil.example", **FOREIGN}).status_code == 421
    assert harness.triton.asked == []


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8080",
        "192.168.1.20",
        "[::1]:8080",
        "localhost",
        "LOCALHOST:1",
        "app.localhost",
        "box",
        "box.local:80",
        "box.internal.",
        "box.home.arpa",
        "",
    ],
)
def test_addresses_and_names_that_nobody_can_register_are_answered(http, host):
    assert http.get("/health/live", headers={"host": host}).status_code == 200


def test_the_refusal_has_the_shape_of_the_api_that_was_asked(http):
    error = http.post("/v1/messages", json={}, headers={"host": "evil.example"}).json()
    assert error["type"] == "error"
    assert "Host" in error["error"]["message"]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8083", "127.0.0.1.evil.example"])
def test_the_metrics_listener_is_not_known_by_a_public_name_either(harness, host):
    assert httpx.get(harness.metrics_url, headers={"host": host}, timeout=LIMIT_S).status_code == 421
    assert httpx.get(harness.metrics_url, headers={"host": "localhost:8083"}, timeout=LIMIT_S).status_code == 200


@pytest.fixture
def proxied(make_harness, tmp_path):
    """A box behind a proxy that keeps the name which clients use."""
    keys = Keys(tmp_path / "keys.json")
    keys.make()
    policy = Policy(keys=keys.file.path)
    return make_harness(
        policy=policy, hosts=("llm.example.com", "llm.tail1234.ts.net"), triton_http=Address("127.0.0.1", 0)
    )


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("llm.example.com", 200),
        ("LLM.example.com:443", 200),
        ("llm.example.com.", 200),
        ("llm.tail1234.ts.net", 200),
        ("box.local", 200),
        ("example.com", 421),
        ("x.llm.example.com", 421),
        ("llm.example.com.evil.example", 421),
        ("evil.example", 421),
    ],
)
def test_names_that_the_site_lists_are_names_of_the_box(proxied, host, status):
    for url in (f"{proxied.url}/health/live", f"http://{proxied.gateway.triton_http.address}/v2/health/live"):
        assert httpx.get(url, headers={"host": host}, timeout=LIMIT_S).status_code == status


def test_what_a_client_claims_about_its_proxy_is_no_name_of_the_box(proxied):
    for header in ("x-forwarded-host", "forwarded", "x-forwarded-proto"):
        claim = {"x-forwarded-host": "llm.example.com", "forwarded": "host=llm.example.com;proto=https"}
        headers = {"host": "evil.example", header: claim.get(header, "https")}
        assert httpx.get(f"{proxied.url}/health/live", headers=headers, timeout=LIMIT_S).status_code == 421


@pytest.mark.parametrize("settings", [{"hosts": ("llm.example.com",)}, {"proxies": ("127.0.0.1",)}])
def test_a_box_behind_a_proxy_needs_keys(make_harness, tmp_path, settings):
    with refused(UsageError, "no authentication"):
        make_harness(**settings)
    keys = Keys(tmp_path / "keys.json")
    keys.make()
    box = make_harness(policy=Policy(keys=keys.file.path), **settings)
    assert httpx.get(f"{box.url}/v1/models", timeout=LIMIT_S).status_code == 401
    # As for a box that listens on a network: without the file, nobody is accepted.
    keys.file.path.unlink()
    assert httpx.get(f"{box.url}/v1/models", timeout=LIMIT_S).status_code == 401
