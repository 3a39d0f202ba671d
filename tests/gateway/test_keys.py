"""Who is let in, over HTTP and gRPC alike: keys, scopes, and what changes while the gateway runs."""

from __future__ import annotations

import asyncio
import logging
import queue
import re
import socket
from pathlib import Path

import grpc
import grpc.aio
import httpx
import openai
import pytest
import tritonclient.grpc as triton
from grpc_health.v1 import health_pb2, health_pb2_grpc

from appliance.address import Address
from appliance.auth.policy import Policy
from appliance.gateway.listeners import MAX_WATCHERS
from appliance.gateway.proto.appliance.v1 import inference_pb2 as pb
from appliance.gateway.proto.appliance.v1.inference_pb2_grpc import InferenceServiceStub
from tests.gateway.keys import Keys, bearer, id_of, metadata, status_of
from tests.gateway.lean_inputs import lean
from tests.waiting import LIMIT_S, wait_until

MODEL = "tiny-instruct"
REQUEST = {"model": MODEL, "prompt": "Once"}
NEVER_MADE = "apl_0123456789_" + "ab" * 32
Code = grpc.StatusCode


@pytest.fixture
def keys(tmp_path) -> Keys:
    return Keys(tmp_path / "keys" / "keys.json")


@pytest.fixture
def box(make_harness, keys):
    return make_harness(policy=Policy(keys=keys.file.path))


@pytest.fixture
def http(box):
    with httpx.Client(base_url=box.url, timeout=LIMIT_S) as client:
        yield client


@pytest.fixture
def stub(box):
    with grpc.insecure_channel(box.grpc_address) as channel:
        yield InferenceServiceStub(channel)


def complete(http, headers=None):
    return http.post("/v1/completions", json=REQUEST, headers=headers or {})


def rpc(stub, **options):
    return stub.Complete(pb.CompleteRequest(model=MODEL, text="Once"), **options)


def test_without_any_key_everybody_here_is_let_in(box, http, stub):
    assert complete(http).status_code == 200
    assert complete(http, bearer("whatever")).status_code == 200
    assert status_of(rpc(stub)) == (Code.OK, "")
    assert {asked.principal for asked in box.triton.asked} == {"local"}


def test_the_first_key_closes_a_running_box(http, stub, keys):
    assert complete(http).status_code == 200
    key = keys.make()
    assert complete(http).status_code == 401
    assert status_of(rpc(stub))[0] is Code.UNAUTHENTICATED
    assert complete(http, bearer(key)).status_code == 200
    assert status_of(rpc(stub, metadata=metadata(key)))[0] is Code.OK


def test_keys_can_be_demanded_before_there_is_one(make_harness, keys):
    box = make_harness(policy=Policy(keys=keys.file.path, require_keys=True))
    assert httpx.post(f"{box.url}/v1/completions", json=REQUEST, timeout=LIMIT_S).status_code == 401
    key = keys.make()
    assert (
        httpx.post(f"{box.url}/v1/completions", json=REQUEST, headers=bearer(key), timeout=LIMIT_S).status_code == 200
    )


BAD_HEADERS = [
    {},
    bearer("none"),
    bearer(NEVER_MADE),
    {"Authorization": "Basic YTpi"},
    {"x-api-key": "apl_"},
]
BAD_HEADERS += [{"Authorization": b"Bearer \xff\xfe"}, bearer("a" * 10_000)]


@pytest.mark.parametrize("headers", BAD_HEADERS)
def test_a_missing_wrong_or_malformed_key_is_a_401_in_openais_shape(http, keys, headers):
    keys.make()
    response = complete(http, headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    error = response.json()["error"]
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", "invalid_api_key", None)
    assert response.headers["x-request-id"]


@pytest.mark.parametrize("key", ["", "none", NEVER_MADE])
def test_grpc_refuses_the_same_keys(stub, keys, key):
    keys.make()
    assert status_of(rpc(stub, metadata=metadata(key)))[0] is Code.UNAUTHENTICATED
    assert status_of(rpc(stub, metadata=(("x-api-key", key),)))[0] is Code.UNAUTHENTICATED


def test_both_headers_for_keys_are_understood(http, stub, keys):
    key = keys.make()
    assert complete(http, {"x-api-key": key}).status_code == 200
    assert complete(http, {"authorization": f"bearer  {key}"}).status_code == 200
    assert complete(http, {"x-api-key": key, **bearer(NEVER_MADE)}).status_code == 401
    assert status_of(rpc(stub, metadata=(("x-api-key", key),)))[0] is Code.OK


def test_an_expired_key_is_told_from_a_wrong_one(http, stub, keys):
    key = keys.make(expires_in_s=-1)
    response = complete(http, bearer(key))
    assert response.status_code == 401
    assert response.json()["error"]["message"] == "the API key has expired"
    assert status_of(rpc(stub, metadata=metadata(key))) == (Code.UNAUTHENTICATED, "the API key has expired")


def test_a_revoked_key_is_refused_by_the_next_request(http, stub, keys):
    key, other = keys.make(), keys.make()
    assert complete(http, bearer(key)).status_code == 200
    keys.revoke(key)
    assert complete(http, bearer(key)).status_code == 401
    assert status_of(rpc(stub, metadata=metadata(key)))[0] is Code.UNAUTHENTICATED
    assert complete(http, bearer(other)).status_code == 200


def test_both_keys_of_a_rotation_are_one_principal(box, http, keys):
    old = keys.make()
    new = keys.rotate(old)
    assert [complete(http, bearer(key)).status_code for key in (old, new)] == [200, 200]
    assert {asked.principal for asked in box.triton.asked} == {f"key:{id_of(old)}"}
    keys.revoke(old)
    assert [complete(http, bearer(key)).status_code for key in (old, new)] == [401, 200]


def test_a_deleted_file_does_not_open_the_box(http, keys):
    keys.make()
    assert complete(http).status_code == 401
    keys.file.path.unlink()
    assert complete(http).status_code == 401


def test_a_damaged_file_lets_nobody_in_until_it_is_mended(http, keys, caplog):
    key = keys.make()
    assert complete(http, bearer(key)).status_code == 200
    good = keys.file.path.read_bytes()
    keys.file.path.write_bytes(b"{")
    response = complete(http, bearer(key))
    assert response.status_code == 503
    assert str(keys.file.path) not in response.text
    assert str(keys.file.path) in "".join(str(getattr(one, "fields", "")) for one in caplog.records)
    keys.file.path.write_bytes(good)
    assert complete(http, bearer(key)).status_code == 200


@pytest.mark.parametrize(
    ("scope", "models", "figures", "completion"),
    [("infer", 200, 403, 200), ("read", 200, 200, 403), ("admin", 200, 200, 200)],
)
def test_a_key_opens_what_its_scopes_say(http, stub, keys, scope, models, figures, completion):
    key = keys.make(scope)
    assert http.get("/v1/models", headers=bearer(key)).status_code == models
    page = http.get("/metrics", headers=bearer(key))
    assert page.status_code == figures
    assert ("appliance_gateway_requests_total" in page.text) == (figures == 200)
    response = complete(http, bearer(key))
    assert response.status_code == completion
    status, details = status_of(rpc(stub, metadata=metadata(key)))
    assert status is (Code.OK if completion == 200 else Code.PERMISSION_DENIED)
    if completion == 403:
        assert response.json()["error"]["code"] == "insufficient_scope"
        assert f"scope infer, which key:{id_of(key)} does not have" in details


def test_two_different_keys_are_refused_on_both_apis(http, stub, keys):
    good, other = keys.make(), keys.make()
    pair = [("authorization", f"Bearer {good}"), ("authorization", f"Bearer {other}")]
    assert http.post("/v1/completions", json=REQUEST, headers=pair).status_code == 401
    assert status_of(rpc(stub, metadata=pair))[0] is Code.UNAUTHENTICATED


def test_what_nobody_named_needs_a_key_too(http, keys):
    key = keys.make()
    assert http.get("/v1/nothing").status_code == 401
    assert http.get("/v1/nothing", headers=bearer(key)).status_code == 404
    assert http.get("/health/nothing").status_code == 401


def test_health_is_open_to_load_balancers(box, http, keys):
    keys.make()
    assert http.get("/health/live").status_code == 200
    assert http.get("/health/ready").status_code == 200
    with grpc.insecure_channel(box.grpc_address) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_reflection_is_not_open(box, keys):
    from grpc_reflection.v1alpha import reflection_pb2 as messages  # noqa: PLC0415
    from grpc_reflection.v1alpha import reflection_pb2_grpc as stubs  # noqa: PLC0415

    key = keys.make("read")
    asks = [messages.ServerReflectionRequest(list_services="")]
    with grpc.insecure_channel(box.grpc_address) as channel:
        stub = stubs.ServerReflectionStub(channel)
        assert status_of(stub.ServerReflectionInfo(iter(asks)))[0] is Code.UNAUTHENTICATED
        (answer,) = stub.ServerReflectionInfo(iter(asks), metadata=metadata(key))
    names = {service.name for service in answer.list_services_response.service}
    assert "appliance.v1.InferenceService" in names


def test_nobody_is_let_in_by_sending_a_body(box, keys):
    keys.make()
    address = Address.from_text(box.url.removeprefix("http://"))
    head = (
        b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"
    )
    with socket.create_connection((address.host, address.port), timeout=LIMIT_S) as connection:
        connection.sendall(head)
        assert connection.recv(4096).startswith(b"HTTP/1.1 401 ")


def test_the_principal_is_in_the_engines_request_and_in_the_log_and_the_key_nowhere(box, http, stub, keys, caplog):
    caplog.set_level(logging.INFO, logger="appliance.gateway")
    key = keys.make()
    complete(http, bearer(key))
    list(rpc(stub, metadata=metadata(key)))
    complete(http, bearer(NEVER_MADE))
    assert [asked.principal for asked in box.triton.asked] == [f"key:{id_of(key)}"] * 2

    def lines():
        return [one.fields for one in caplog.records if one.getMessage() == "request"]

    wait_until(lambda: len(lines()) == 3)
    assert [line.get("principal") for line in lines()] == [f"key:{id_of(key)}", f"key:{id_of(key)}", None]
    logged = "".join(str(vars(one)) for one in caplog.records)
    assert key.split("_")[2] not in logged
    assert NEVER_MADE.split("_")[2] not in logged


def test_the_openai_client_raises_its_own_errors(box, keys):
    good, reader = keys.make(), keys.make("read")

    def ask(key):
        with openai.OpenAI(base_url=f"{box.url}/v1", api_key=key, max_retries=0) as client:
            return client.completions.create(**REQUEST).choices[0].text

    assert ask(good) == "Hello world"
    with pytest.raises(openai.AuthenticationError):
        ask("sk-none")
    with pytest.raises(openai.PermissionDeniedError):
        ask(reader)


def test_a_key_for_reading_lists_models_over_grpc_too(stub, keys):
    key = keys.make("read")
    assert stub.ListModels(pb.ListModelsRequest(), metadata=metadata(key)).models
    assert status_of(rpc(stub, metadata=metadata(key)))[0] is Code.PERMISSION_DENIED


def _endpoints() -> list[tuple[str, str, str]]:
    """Of the page of the APIs: method, path, and the cell with the scopes."""
    page = Path(__file__).resolve().parents[2] / "docs" / "api.md"
    table = page.read_text(encoding="utf-8").partition("## Endpoints\n")[2].partition("\n\nThe paths")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()[2:]]
    return [(*request, row[1]) for row in rows for request in re.findall(r"`([A-Z]+) ([^`]+)`", row[0])]


@pytest.mark.parametrize(("method", "path", "cell"), _endpoints())
def test_each_endpoint_needs_the_scope_that_the_page_says(http, keys, method: str, path: str, cell: str):
    keys.make()
    path = path.replace("{name}", MODEL)
    assert (http.request(method, path).status_code == 401) is (cell != "none")
    for scope in ("infer", "read"):
        status = http.request(method, path, headers=bearer(keys.make(scope))).status_code
        assert status != 401
        assert (status == 403) is (cell != "none" and f"`{scope}`" not in cell)


def test_over_grpc_nobody_is_let_in_by_sending_a_message(box, keys):
    keys.make()

    async def ask():
        async with grpc.aio.insecure_channel(box.grpc_address) as channel:
            # Its message never comes.
            call = channel.stream_unary("/appliance.v1.InferenceService/Complete")()
            return await asyncio.wait_for(call.code(), 30)

    assert asyncio.run(ask()) is Code.UNAUTHENTICATED


def test_a_key_that_is_revoked_asks_nothing_more_in_an_open_stream(box, keys):
    key = keys.make()
    answers: queue.SimpleQueue = queue.SimpleQueue()
    with triton.InferenceServerClient(box.grpc_address) as client:
        client.start_stream(
            lambda result, error: answers.put((result, error)), headers={"authorization": f"Bearer {key}"}
        )
        client.async_stream_infer(MODEL, lean())
        assert answers.get(timeout=LIMIT_S)[1] is None
        keys.revoke(key)
        client.async_stream_infer(MODEL, lean(), request_id="after")
        while (error := answers.get(timeout=LIMIT_S)[1]) is None:
            pass
        assert "not valid" in str(error)
        client.stop_stream(cancel_requests=True)
    assert [asked.principal for asked in box.triton.asked] == [f"key:{id_of(key)}"]


def test_health_is_watched_by_name_and_by_so_many(box):
    with grpc.insecure_channel(box.grpc_address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        assert status_of(stub.Watch(health_pb2.HealthCheckRequest(service="x" * 1000)))[0] is Code.NOT_FOUND
        watching = [stub.Watch(health_pb2.HealthCheckRequest()) for _ in range(MAX_WATCHERS)]
        assert all(next(one).status for one in watching)
        assert status_of(stub.Watch(health_pb2.HealthCheckRequest()))[0] is Code.RESOURCE_EXHAUSTED
        watching[0].cancel()
        wait_until(lambda: next(stub.Watch(health_pb2.HealthCheckRequest()), None) is not None)
