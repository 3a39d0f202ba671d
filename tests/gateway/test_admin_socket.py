"""The operator's Unix socket: status and drain, for the gateway's own user and root alone."""

from __future__ import annotations

import logging
import os

import httpx
import pytest

from appliance import unix_socket
from appliance.address import Address
from appliance.gateway.access.account import Limits
from appliance.gateway.access.door import DoorLimits
from tests.gateway.fake_triton import endless
from tests.waiting import LIMIT_S, wait_until

MODEL = "tiny-instruct"
REQUEST = {"model": MODEL, "prompt": "Once"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "gateway.sock"


@pytest.fixture
def admin(path):
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://box", timeout=LIMIT_S) as client:
        yield client


def test_it_shows_who_does_what_within_which_limits(make_harness, path, admin):
    limits = DoorLimits(Limits("the box"), Limits("this principal", max_requests=4))
    box = make_harness(socket=path, limits=limits)
    box.triton.script = endless(pause_s=0.02)
    with httpx.stream(
        "POST", f"{box.url}/v1/completions", json={**REQUEST, "stream": True}, timeout=LIMIT_S
    ) as response:
        assert response.status_code == 200
        status = admin.get("/status").json()
    assert status["requests"] == 1
    assert status["principals"] == {"local": {"requests": 1}}
    assert status["limits"]["this principal"]["max_requests"] == 4
    assert (status["draining"], status["waiting_for"]) == (False, [])
    wait_until(lambda: admin.get("/status").json()["principals"]["local"]["requests"] == 0)


def test_health_is_asked_there_without_key_or_certificate(make_harness, path, admin):
    box = make_harness(socket=path)
    assert admin.get("/health/live").status_code == 200
    assert admin.get("/health/ready").status_code == 200
    box.triton.ready = False
    answer = admin.get("/health/ready")
    assert (answer.status_code, answer.json()["waiting_for"]) == (503, box.gateway._services.readiness.waiting_for)
    assert answer.json()["waiting_for"]
    box.triton.ready = True
    assert admin.get("/health/ready").status_code == 200


def test_readiness_is_told_by_model_and_the_box_waits_for_each(make_harness, path, admin):
    box = make_harness(socket=path, triton_http=Address("127.0.0.1", 0))
    box.triton.unloaded = {"tiny-base"}
    answer = admin.get("/health/ready")
    assert (answer.status_code, answer.json()) == (503, {"waiting_for": ["tiny-base"]})
    url = f"http://{box.gateway.triton_http.address}/v2"
    ready = {name: httpx.get(f"{url}/models/{name}/ready").status_code for name in ("tiny-base", "tiny-talker")}
    assert ready == {"tiny-base": 503, "tiny-talker": 200}
    figures = httpx.get(box.metrics_url).text
    assert 'appliance_gateway_model_ready{gen_ai_request_model="tiny-base"} 0.0' in figures
    assert 'appliance_gateway_model_ready{gen_ai_request_model="tiny-talker"} 1.0' in figures
    # The rule is about the box: a model that is ready is asked all the same.
    asked = {**REQUEST, "model": "tiny-talker"}
    assert httpx.post(f"{box.url}/v1/completions", json=asked, timeout=LIMIT_S).status_code == 200


def test_a_triton_started_again_within_a_second_is_not_called_ready_before_it_can_be_reached(make_harness, path, admin):
    box = make_harness(socket=path)
    box.kill_triton()
    assert httpx.post(f"{box.url}/v1/completions", json=REQUEST, timeout=LIMIT_S).status_code == 503
    box.restart_triton()
    wait_until(lambda: admin.get("/health/ready").status_code == 200)
    assert httpx.post(f"{box.url}/v1/completions", json=REQUEST, timeout=LIMIT_S).status_code == 200


def test_a_drain_is_asked_for_with_post_alone(make_harness, path, admin):
    box = make_harness(socket=path)
    assert admin.get("/drain").status_code == 405
    assert not box.gateway.drain_asked.is_set()
    assert admin.post("/drain").status_code == 202
    assert box.gateway.drain_asked.is_set()


def test_another_user_is_hung_up_on(make_harness, path, admin, monkeypatch, caplog):
    make_harness(socket=path)
    monkeypatch.setattr(unix_socket, "peer_uid", lambda _: os.geteuid() + 1)
    with pytest.raises(httpx.HTTPError):
        admin.get("/status")
    logged = [one for one in caplog.records if one.levelno == logging.WARNING and one.name == "appliance.gateway"]
    assert [one.fields["uid"] for one in logged] == [os.geteuid() + 1]
    monkeypatch.setattr(unix_socket, "peer_uid", lambda _: 0)
    assert admin.get("/status").status_code == 200
