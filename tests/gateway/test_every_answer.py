"""Every route and method of the gateway that reaches a model does so through the answering seam, and no other way."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import httpx
import pytest
from starlette.routing import Route
from tritonclient.grpc import service_pb2, service_pb2_grpc

from appliance.address import Address
from appliance.gateway.answering.answering import Answering
from appliance.gateway.http_app import main_routes
from appliance.gateway.page.routes import page_routes
from appliance.gateway.proto.appliance.v1 import inference_pb2 as pb
from appliance.gateway.proto.appliance.v1.inference_pb2_grpc import InferenceServiceStub
from appliance.gateway.triton_http.api import TritonHttpApi
from tests.gateway.lean_inputs import lean
from tests.waiting import LIMIT_S

MODEL = "tiny-instruct"
TURNS = [{"role": "user", "content": "Once"}]
LEAN = {"input_ids": [1, 2], "sampling_parameters": "{}", "request_options": "{}"}
MODEL_PATHS = ("/v2/models/{model}", "/v2/models/{model}/versions/{version}")
# Path → a body with which a model answers.
HTTP_ANSWERS = {
    "/v1/chat/completions": {"model": MODEL, "messages": TURNS},
    "/v1/completions": {"model": MODEL, "prompt": "Once"},
    "/v1/responses": {"model": MODEL, "input": "Once"},
    "/v1/decisions": {
        "model": MODEL,
        "input": "Once",
        "questions": [{"type": "predicate", "instructions": "It is a story."}],
    },
    "/v1/messages": {"model": MODEL, "messages": TURNS, "max_tokens": 4},
    "/api/chat": {"model": MODEL, "messages": TURNS},
    "/api/generate": {"model": MODEL, "prompt": "Once"},
    **{f"{path}/generate": {**LEAN, "stream": False} for path in MODEL_PATHS},
    **{f"{path}/generate_stream": {**LEAN, "stream": True} for path in MODEL_PATHS},
}
# Paths that no model works for.
HTTP_QUESTIONS = {
    *(
        "/",
        *(route.path for route in page_routes(history=True)),
        "/openapi.json",
        "/health",
        "/health/live",
        "/health/ready",
        "/version",
    ),
    *("/v1/models", "/v1/models/{name:path}", "/v1/models/{name}/queue", "/v1/embeddings"),
    *("/v1/rerank", "/v2/rerank", "/v1/score"),
    *("/tokenize", "/v1/tokenize", "/detokenize", "/v1/detokenize", "/tokenizer_info"),
    *("/api/embed", "/api/embeddings", "/api/tags", "/api/ps", "/api/show", "/api/version"),
    *("/v1/messages/count_tokens", "/v1/responses/input_tokens"),
    *("/v1/responses/{response_id}", "/v1/responses/{response_id}/input_items"),
    *("/v2", "/v2/health/live", "/v2/health/ready"),
    *(f"{path}{end}" for path in MODEL_PATHS for end in ("", "/ready", "/config", "/infer")),
}


def stub(channel: grpc.Channel) -> Any:
    return service_pb2_grpc.GRPCInferenceServiceStub(channel)


def streamed(channel: grpc.Channel) -> Any:
    request = service_pb2.ModelInferRequest(model_name=MODEL)
    for one in lean():
        request.inputs.append(one._get_tensor())
        request.raw_input_contents.append(one._get_content())
    return list(stub(channel).ModelStreamInfer(iter([request]), timeout=LIMIT_S))


GRPC_ANSWERS: dict[str, Callable[[grpc.Channel], Any]] = {
    "appliance.v1.InferenceService/Chat": lambda channel: list(
        InferenceServiceStub(channel).Chat(
            pb.ChatRequest(model=MODEL, messages=[pb.Message(role="user", content="Once")]), timeout=LIMIT_S
        )
    ),
    "appliance.v1.InferenceService/Complete": lambda channel: list(
        InferenceServiceStub(channel).Complete(pb.CompleteRequest(model=MODEL, text="Once"), timeout=LIMIT_S)
    ),
    "inference.GRPCInferenceService/ModelInfer": lambda channel: stub(channel).ModelInfer(
        service_pb2.ModelInferRequest(model_name="other"), timeout=LIMIT_S
    ),
    "inference.GRPCInferenceService/ModelStreamInfer": streamed,
}
GRPC_QUESTIONS = {
    *(f"appliance.v1.InferenceService/{name}" for name in ("Tokenize", "Detokenize", "ListModels")),
    *(
        f"inference.GRPCInferenceService/{name}"
        for name in ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelConfig")
    ),
}


@pytest.fixture
def box(make_harness):
    harness = make_harness(triton_http=Address("127.0.0.1", 0))
    harness.wait_until_ready()
    return harness


@pytest.fixture
def passed(monkeypatch) -> Counter[str]:
    """How many requests have gone through the seam, by its method."""
    found: Counter[str] = Counter()

    def counted(name: str) -> Callable[..., Any]:
        method = getattr(Answering, name)

        @contextlib.contextmanager
        def run(*arguments: Any) -> Iterator[Any]:
            with method(*arguments) as answer:
                found[name] += 1
                yield answer

        return run

    for name in ("complete", "forward"):
        monkeypatch.setattr(Answering, name, counted(name))
    return found


def routes(box: Any) -> list[Route]:
    services = box.gateway._services
    found = [*main_routes(services), *TritonHttpApi(services).routes()]
    return [route for route in found if isinstance(route, Route)]


def is_administration(route: Route) -> bool:
    return route.endpoint.__name__ == "administration"


def url(box: Any, path: str) -> str:
    is_triton = path.startswith("/v2") and path != "/v2/rerank"
    base = f"http://{box.gateway.triton_http.address}" if is_triton else box.url
    plain = path.replace(":path", "")
    return base + plain.format(model=MODEL, version="1", name=MODEL, response_id="resp_1", rest="x", digest="sha256:0")


def test_every_route_is_an_answer_or_a_question(box):
    paths = {route.path for route in routes(box) if not is_administration(route)}
    assert paths == {*HTTP_ANSWERS, *HTTP_QUESTIONS}


def test_every_method_is_an_answer_or_a_question():
    ours = pb.DESCRIPTOR.services_by_name["InferenceService"]
    kserve = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]
    names = {f"{service.full_name}/{method.name}" for service in (ours, kserve) for method in service.methods}
    assert names >= {*GRPC_ANSWERS, *GRPC_QUESTIONS}
    # The rest administers Triton, and is refused: see test_kserve.
    rest = {name.partition("/")[2] for name in names - {*GRPC_ANSWERS, *GRPC_QUESTIONS}}
    assert all(name.startswith(("Repository", "SystemShared", "CudaShared", "Model", "Trace", "Log")) for name in rest)


@pytest.mark.parametrize("path", sorted(HTTP_ANSWERS))
def test_an_answer_over_http_passes_the_seam(box, passed, path):
    response = httpx.post(url(box, path), json=HTTP_ANSWERS[path], timeout=LIMIT_S)
    assert response.status_code == 200
    assert (sum(passed.values()), len(box.triton.asked)) == (1, 1)


@pytest.mark.parametrize("method", sorted(GRPC_ANSWERS))
def test_an_answer_over_grpc_passes_the_seam(box, passed, method):
    with grpc.insecure_channel(box.grpc_address) as channel:
        assert GRPC_ANSWERS[method](channel)
    assert sum(passed.values()) == 1


def test_no_other_route_reaches_a_model(box, passed):
    bodies = [*HTTP_ANSWERS.values(), {"model": MODEL, "prompt": "Once"}, {"model": MODEL, "input": "Once"}]
    for route in routes(box):
        if route.path in HTTP_ANSWERS:
            continue
        for method in route.methods or ():
            for body in bodies if method == "POST" else bodies[:1]:
                httpx.request(method, url(box, route.path), json=body, timeout=LIMIT_S)
    assert (sum(passed.values()), box.triton.asked) == (0, [])
