"""Real proxies with the published files in front of the gateway: everything that works without them works with them."""

from __future__ import annotations

import io
import json
import logging
import ssl
import time
from collections.abc import Iterator

import grpc
import httpx
import openai
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from appliance.auth.policy import Policy
from appliance.gateway import access_log
from appliance.gateway.proto.appliance.v1 import inference_pb2 as pb
from appliance.gateway.proto.appliance.v1.inference_pb2_grpc import InferenceServiceStub
from tests.auth.certificates import Site
from tests.gateway.fake_triton import endless
from tests.gateway.keys import Keys, bearer, metadata
from tests.gateway.proxies import NAME, running
from tests.gateway.slow_model import Slow, after_signs
from tests.waiting import LIMIT_S, wait_until

pytestmark = pytest.mark.proxies
MODEL = "tiny-instruct"
HELLO = [{"role": "user", "content": "Say hello"}]
CHAT = {"model": MODEL, "messages": HELLO, "stream": True}
PATH = "/v1/chat/completions"
URL = f"https://{NAME}"


class Through(httpx.HTTPTransport):
    """Connects to a proxy on loopback under the name that the site gave it, from another address of loopback."""

    def __init__(self, port: int, trust: ssl.SSLContext) -> None:
        super().__init__(verify=trust, local_address="127.0.0.2")
        self._port = port

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions["sni_hostname"] = request.url.host
        request.url = request.url.copy_with(host="127.0.0.1", port=self._port)
        return super().handle_request(request)


class Front:
    """A proxy in front of a box, and clients for it."""

    def __init__(self, box, port: int, site: Site, key: str) -> None:
        self.box = box
        self.key = key
        trust = ssl.create_default_context(cafile=site.ca_path)
        self.http = httpx.Client(base_url=URL, transport=Through(port, trust), timeout=LIMIT_S, headers=bearer(key))
        names = [("grpc.ssl_target_name_override", NAME), ("grpc.default_authority", NAME)]
        credentials = grpc.ssl_channel_credentials(site.ca_path.read_bytes())
        self.channel = grpc.secure_channel(f"127.0.0.1:{port}", credentials, options=names)

    def close(self) -> None:
        self.http.close()
        self.channel.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Site:
    site = Site(tmp_path_factory.mktemp("proxy") / "tls")
    site.server(NAME)
    return site


@pytest.fixture(params=["nginx", "caddy", "envoy"])
def make_front(request, make_harness, site, tmp_path) -> Iterator:
    contexts = []
    keys = Keys(tmp_path / "keys.json")
    key = keys.make("infer")

    def make(wait: str = "3600s", **settings) -> Front:
        known = {"hosts": (NAME,), "proxies": ("127.0.0.1",), "policy": Policy(keys=keys.file.path)}
        box = make_harness(**{**known, "stream_head_after_s": 0.01, "stream_ping_s": 0.2, **settings})
        addresses = {"http": box.url.removeprefix("http://"), "grpc": box.grpc_address}
        proxy = running(request.param, site.tls_files(), wait=wait, **addresses)
        front = Front(box, proxy.__enter__(), site, key)
        contexts.append((proxy, front))
        return front

    yield make
    for proxy, front in contexts:
        front.close()
        proxy.__exit__(None, None, None)


def test_clients_work_through_a_proxy(make_front):
    front = make_front()
    with openai.OpenAI(base_url=f"{URL}/v1", api_key=front.key, max_retries=0, http_client=front.http) as client:
        assert client.models.list().data
        assert client.chat.completions.create(model=MODEL, messages=HELLO).choices[0].message.content == "Hello world"
        stream = client.chat.completions.create(**CHAT)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "Hello world"


def test_anthropics_pings_pass(make_front):
    front = make_front()
    front.box.triton.script = slow = Slow("Hello")
    body = {"model": MODEL, "max_tokens": 9, "messages": HELLO, "stream": True}
    with front.http.stream("POST", "/v1/messages", json=body) as response:
        lines = response.iter_lines()
        assert next(lines) == "event: message_start"
        while next(lines) != "event: ping":
            pass
        slow.may_go_on = True
        assert "Hello" in "\n".join(lines)


def test_a_stream_arrives_piece_by_piece_and_signs_pass(make_front):
    front = make_front()
    front.box.triton.script = slow = Slow("Hello")
    with front.http.stream("POST", PATH, json=CHAT, headers={"x-request-id": "mine"}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["x-request-id"] == "mine"
        lines = response.iter_lines()
        after_signs(lines, 3)
        slow.may_go_on = True
        assert "Hello" in "\n".join(lines)


def test_a_wait_that_is_longer_than_the_limit_of_the_proxy_is_not_cut(make_front):
    front = make_front(wait="4s")
    front.box.triton.script = slow = Slow("Hello")
    with front.http.stream("POST", PATH, json=CHAT) as response:
        lines = response.iter_lines()
        ends = time.monotonic() + 9
        while time.monotonic() < ends:
            next(lines)
        slow.may_go_on = True
        assert "Hello" in "\n".join(lines)


def test_a_client_that_leaves_frees_the_slot(make_front):
    front = make_front()
    front.box.triton.script = endless()
    with front.http.stream("POST", PATH, json=CHAT) as response:
        # httpx leaves when this generator is deleted.
        lines = response.iter_lines()
        next(lines)
        wait_until(lambda: front.box.triton.running == 1)
    wait_until(lambda: front.box.triton.running == 0)
    # It leaves while its request waits for a response as a whole.
    with pytest.raises(httpx.ReadTimeout):
        front.http.post(PATH, json={**CHAT, "stream": False}, timeout=1)
    wait_until(lambda: front.box.triton.running == 0)


def test_grpc_passes(make_front):
    front = make_front()
    request = pb.CompleteRequest(model=MODEL, text="a")
    call = InferenceServiceStub(front.channel).Complete(
        request, metadata=(("x-request-id", "mine"), *metadata(front.key))
    )
    assert "".join(chunk.text for chunk in call) == "Hello world"
    assert dict(call.trailing_metadata())["x-request-id"] == "mine"
    health = health_pb2_grpc.HealthStub(front.channel).Check(health_pb2.HealthCheckRequest())
    assert health.status == health_pb2.HealthCheckResponse.SERVING
    front.box.triton.script = slow = Slow("Hello")
    call = InferenceServiceStub(front.channel).Complete(request, metadata=metadata(front.key))
    wait_until(lambda: front.box.triton.running == 1)
    call.cancel()
    wait_until(lambda: front.box.triton.running == 0)
    slow.may_go_on = True
    with pytest.raises(grpc.RpcError) as caught:
        list(InferenceServiceStub(front.channel).Complete(request))
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    request = pb.CompleteRequest(model="nothing", text="a")
    with pytest.raises(grpc.RpcError) as caught:
        list(InferenceServiceStub(front.channel).Complete(request, metadata=metadata(front.key)))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_kserves_service_passes(make_front):
    front = make_front()
    stub = service_pb2_grpc.GRPCInferenceServiceStub(front.channel)
    assert stub.ServerLive(service_pb2.ServerLiveRequest(), metadata=metadata(front.key)).live


def test_a_name_that_the_site_did_not_list_is_refused(make_front):
    front = make_front(hosts=())
    response = front.http.get("/v1/models")
    assert (response.status_code, response.json()["error"]["code"]) == (421, "unknown_host")


def test_errors_and_paths_pass(make_front):
    front = make_front()
    assert front.http.post(PATH, json={}).status_code == 400
    assert front.http.post(PATH, json={}, headers={"authorization": ""}).status_code == 401
    assert front.http.get("/v1/models/").status_code == 200
    assert front.http.get("/health").json() == {"status": "ok"}
    assert "text/html" in front.http.get("/").headers["content-type"]


def test_the_log_has_the_client_whatever_the_client_claims(make_front, caplog):
    front = make_front()
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(access_log.JsonFormatter())
    caplog.set_level(logging.INFO, logger="appliance.gateway")
    logging.getLogger().addHandler(handler)
    try:
        front.http.get("/v1/models", headers={"x-forwarded-for": "203.0.113.7", "forwarded": "for=203.0.113.7"})
        wait_until(lambda: '"request"' in stream.getvalue())
    finally:
        logging.getLogger().removeHandler(handler)
    (line,) = [one for one in map(json.loads, stream.getvalue().splitlines()) if one["event"] == "request"]
    assert line["client"] == "127.0.0.2"
