"""What each key of [serve] that the gateway obeys changes for a client."""

from __future__ import annotations

import logging

import grpc
import httpx
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tests.configuration.clients import REQUEST, Opener, complete, refusal
from tests.configuration.rows import row
from tests.gateway.fake_triton import words
from tests.gateway.keys import Keys, bearer
from tests.gateway.slow_model import Slow, after_signs
from tests.waiting import LIMIT_S, wait_until


@row("serve.page_history")
def test_a_site_forbids_the_page_to_keep_conversations(open_box: Opener):
    def permitted(toml: str) -> object:
        return httpx.get(f"{open_box(toml).url}/page/settings.json", timeout=LIMIT_S).json()["history"]

    assert permitted("") is True
    assert permitted("[serve]\npage_history = false") is False


@row("serve.schema_retries")
def test_a_broken_answer_is_asked_for_again(open_box: Opener):
    schema = {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}
    body = {
        "model": "tiny-talker",
        "messages": [{"role": "user", "content": "Numbers"}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}},
        "temperature": 1,
    }
    for retries in (0, 2):
        box = open_box(f"[serve]\nschema_retries = {retries}")
        box.triton.script = words("[1, 1]")
        answer = httpx.post(f"{box.url}/v1/chat/completions", json=body, timeout=LIMIT_S)
        assert answer.headers["appliance-schema-broken"] == "response_format"
        assert len(box.triton.asked) == 1 + retries


@row("serve.unknown_parameters")
def test_unknown_parameters_are_named_or_refused(open_box: Opener):
    assert complete(open_box(""), of_another_server=1).headers["appliance-ignored-parameters"] == "of_another_server"
    status, message = refusal(complete(open_box('[serve]\nunknown_parameters = "refuse"'), of_another_server=1))
    assert (status, "of_another_server" in message) == (400, True)


@row("serve.stream_ping_s")
def test_a_silent_stream_sends_comments(open_box: Opener):
    box = open_box("[serve]\nstream_ping_s = 0.1")
    box.triton.script = slow = Slow()
    body = {**REQUEST, "stream": True}
    with httpx.stream("POST", f"{box.url}/v1/completions", json=body, timeout=LIMIT_S) as response:
        lines = response.iter_lines()
        after_signs(lines, 3)
        slow.may_go_on = True
        list(lines)


@row("serve.cors_origins")
def test_a_page_of_a_listed_origin_gets_permission(open_box: Opener):
    origin = "https://app.example.com"
    for toml, permitted in (("", None), (f'[serve]\ncors_origins = ["{origin}"]', origin)):
        response = httpx.get(f"{open_box(toml).url}/v1/models", headers={"origin": origin}, timeout=LIMIT_S)
        assert response.headers.get("access-control-allow-origin") == permitted


@row("serve.hosts")
def test_a_listed_name_is_accepted_as_host(open_box: Opener, keys: Keys):
    headers = {"host": "llm.example.com", **bearer(keys.make("infer"))}
    for toml, status in (("", 421), ('[serve]\nhosts = ["llm.example.com"]', 200)):
        assert httpx.get(f"{open_box(toml).url}/v1/models", headers=headers, timeout=LIMIT_S).status_code == status


@row("serve.proxies")
def test_the_log_has_the_address_that_a_listed_proxy_names(
    open_box: Opener, keys: Keys, caplog: pytest.LogCaptureFixture
):
    headers = {"x-forwarded-for": "203.0.113.7", **bearer(keys.make("infer"))}
    caplog.set_level(logging.INFO, logger="appliance.gateway")
    for toml, client in (("", "127.0.0.1"), ('[serve]\nproxies = ["127.0.0.1"]', "203.0.113.7")):
        box = open_box(toml)
        caplog.clear()
        assert httpx.get(f"{box.url}/v1/models", headers=headers, timeout=LIMIT_S).status_code == 200
        wait_until(lambda: [one for one in caplog.records if one.message == "request"])
        (line,) = [one for one in caplog.records if one.message == "request"]
        assert line.fields["client"] == client  # type: ignore[attr-defined]


@row("serve.open_health")
def test_the_health_calls_of_kserve_need_no_key(open_box: Opener, keys: Keys):
    keys.make("infer")

    def is_live(toml: str) -> bool:
        with grpc.insecure_channel(open_box(toml).grpc_address) as channel:
            try:
                answer = service_pb2_grpc.GRPCInferenceServiceStub(channel).ServerLive(
                    service_pb2.ServerLiveRequest(), timeout=LIMIT_S
                )
            except grpc.RpcError:
                return False
            return bool(answer.live)

    assert not is_live("")
    assert is_live("[serve]\nopen_health = true")
