"""KServe's health calls: they need a key unless the site opens them, and opening them opens nothing else."""

from __future__ import annotations

import grpc
import httpx
import pytest
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from appliance.address import Address
from appliance.auth.policy import Policy
from appliance.gateway.triton.methods import QUESTIONS
from tests.gateway.keys import Keys, metadata
from tests.gateway.test_kserve import message
from tests.waiting import LIMIT_S, wait_until

MODEL = "tiny-instruct"
OPENED = {"ServerLive", "ServerReady", "ModelReady"}


@pytest.fixture
def keys(tmp_path) -> Keys:
    return Keys(tmp_path / "keys.json")


@pytest.fixture
def key(keys) -> str:
    return keys.make("infer")


@pytest.fixture
def make_box(make_harness, keys):
    # With its first key, the box requires keys.
    keys.make("infer")

    def make(**settings):
        return make_harness(policy=Policy(keys=keys.file.path), triton_http=Address("127.0.0.1", 0), **settings)

    return make


def check_all(client, headers=None):
    return [
        client.is_server_live(headers=headers),
        client.is_server_ready(headers=headers),
        client.is_model_ready(MODEL, headers=headers),
        client.is_model_ready(MODEL, "1", headers=headers),
    ]


def test_tritons_client_checks_without_a_key(make_box):
    box = make_box(open_health=True)
    with triton.InferenceServerClient(box.grpc_address) as client:
        assert all(check_all(client))
        assert not client.is_model_ready("nothing")
        assert not client.is_model_ready(MODEL, "2")
        box.triton.ready = False
        wait_until(lambda: not client.is_server_ready())
        assert not client.is_model_ready(MODEL)
        assert client.is_server_live()


def test_tritons_client_for_http_checks_without_a_key(make_box):
    box = make_box(open_health=True)
    status = f"http://{box.gateway.triton_http.address}/v2/models/{MODEL}"
    assert httpx.get(f"{status}/ready", timeout=LIMIT_S).status_code == 200
    assert httpx.get(f"{status}/versions/1/ready", timeout=LIMIT_S).status_code == 200
    for closed in (status, f"{status}/config", f"{status}/ready/more", f"{status}/stats"):
        assert httpx.get(closed, timeout=LIMIT_S).status_code == 401


def test_a_key_works_too(make_box, key):
    box = make_box(open_health=True)
    with triton.InferenceServerClient(box.grpc_address) as client:
        assert all(check_all(client, headers=dict(metadata(key))))


def test_by_default_they_need_a_key(make_box):
    box = make_box()
    with triton.InferenceServerClient(box.grpc_address) as client:
        for check in (client.is_server_live, client.is_server_ready, lambda: client.is_model_ready(MODEL)):
            with pytest.raises(InferenceServerException, match="API key"):
                check()
    url = f"http://{box.gateway.triton_http.address}"
    assert httpx.get(f"{url}/v2/models/{MODEL}/ready", timeout=LIMIT_S).status_code == 401
    assert httpx.get(f"{url}/v2/health/live", timeout=LIMIT_S).status_code == 200


def test_nothing_else_is_opened(make_box):
    box = make_box(open_health=True)
    requests = {method: getattr(service_pb2, f"{method}Request")() for method in sorted(QUESTIONS - OPENED)}
    requests |= {"ModelInfer": message(), "RepositoryIndex": service_pb2.RepositoryIndexRequest()}
    with grpc.insecure_channel(box.grpc_address) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        for method, request in requests.items():
            with pytest.raises(grpc.RpcError) as caught:
                getattr(stub, method)(request)
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        with pytest.raises(grpc.RpcError) as caught:
            list(stub.ModelStreamInfer(iter([message()])))
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert box.triton.asked == []


def test_an_open_call_that_is_not_one_is_refused(make_box):
    box = make_box(open_health=True)
    with grpc.insecure_channel(box.grpc_address) as channel:
        call = channel.unary_unary("/inference.GRPCInferenceService/ModelReady")
        with pytest.raises(grpc.RpcError) as caught:
            call(b"\xff\xff")
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_box_without_keys_has_all_checks_anyway(make_harness):
    box = make_harness(open_health=True, triton_http=Address("127.0.0.1", 0))
    with triton.InferenceServerClient(box.grpc_address) as client:
        assert all(check_all(client))
