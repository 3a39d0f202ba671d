"""Our gRPC API with generated stubs and with what reflection and health checks tell."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from appliance.gateway.proto.appliance.v1 import inference_pb2 as pb
from appliance.gateway.proto.appliance.v1.inference_pb2_grpc import InferenceServiceStub
from tests.gateway.fake_triton import endless, piece, refusal, usage, words
from tests.gateway.tiny_artefact import tiny_tokenizer
from tests.waiting import wait_until

MODEL = "tiny-instruct"
METHODS = ["Chat", "Complete", "Tokenize", "Detokenize", "ListModels"]
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def channel(harness):
    with grpc.insecure_channel(harness.grpc_address) as channel:
        yield channel


@pytest.fixture
def stub(channel):
    return InferenceServiceStub(channel)


def chat_request(**sampling):
    return pb.ChatRequest(
        model=MODEL,
        messages=[pb.Message(role="system", content="Be brief"), pb.Message(role="user", content="Hi")],
        sampling=pb.Sampling(**sampling),
    )


def failed(call):
    with pytest.raises(grpc.RpcError) as caught:
        list(call)
    return caught.value


def test_a_prompt_is_scored_and_tokens_are_excluded(stub, harness):
    async def scored(asked):
        yield piece("", prompt_logprobs=[{"2": {"logprob": -1.0, "rank": 3}, "7": {"logprob": -0.5, "rank": 1}}])
        yield piece("a", [1], finish="length", usage=usage(asked, 1))

    harness.triton.script = scored
    sampling = pb.Sampling(prompt_logprobs=1, allowed_token_ids=[1, 2], bad_words=["no"], max_tokens=1)
    request = pb.CompleteRequest(model=MODEL, token_ids=pb.TokenIds(ids=[1, 2]), sampling=sampling)
    first, second = stub.Complete(request)
    (score,) = first.prompt_logprobs
    assert (score.token_id, score.logprob, [other.token_id for other in score.likeliest]) == (2, -1.0, [7])
    assert (list(second.prompt_logprobs), second.text) == ([], "a")
    sent = harness.triton.asked[0].sampling
    assert (sent["allowed_token_ids"], sent["bad_words"], sent["prompt_logprobs"]) == ([1, 2], ["no"], 1)


def test_a_chat_is_streamed(stub, harness):
    harness.triton.script = words("Hel", "lö")
    call = stub.Chat(chat_request(max_tokens=5, stop=["x"], logit_bias={3: -1.0}, seed=-2))
    chunks = list(call)
    assert [chunk.text for chunk in chunks] == ["Hel", "lö", ""]
    assert [list(chunk.token_ids) for chunk in chunks] == [[0], [1], []]
    assert chunks[-1].finish_reason == pb.FINISH_REASON_STOP
    assert chunks[-1].usage.completion_tokens == 2
    assert dict(call.trailing_metadata())["x-request-id"].startswith("req_")
    (asked,) = harness.triton.asked
    prompt = "<|im_start|>system\nBe brief<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    assert list(asked.prompt_ids) == tiny_tokenizer().encode(prompt).ids
    assert asked.sampling == {
        "temperature": 0.7,
        "top_p": 0.8,
        "top_k": 20,
        "repetition_penalty": 1.1,
        "max_tokens": 5,
        "stop": ["x"],
        "logit_bias": {"3": -1.0},
        "seed": (1 << 63) - 2,
    }


@pytest.mark.parametrize("prompt", [{"text": "abc"}, {"token_ids": pb.TokenIds(ids=[1, 2])}])
def test_a_prompt_is_continued(stub, harness, prompt):
    harness.triton.script = words("a", finish="length")
    chunks = list(stub.Complete(pb.CompleteRequest(model="tiny-base", **prompt)))
    assert chunks[-1].finish_reason == pb.FINISH_REASON_LENGTH
    expected = tiny_tokenizer().encode("abc").ids if "text" in prompt else [1, 2]
    assert list(harness.triton.asked[0].prompt_ids) == expected


def test_log_probabilities_are_given_when_asked(stub, harness):
    async def script(asked):
        yield piece("a", [5], logprobs=[{"5": {"logprob": -2.0}, "6": {"logprob": -1.0}}])
        yield piece("", [], finish="stop", usage=usage(asked, 1))

    harness.triton.script = script
    first, _ = stub.Chat(chat_request(logprobs=1))
    (token,) = first.logprobs
    assert (token.token_id, token.logprob) == (5, -2.0)
    assert [(one.token_id, one.logprob) for one in token.likeliest] == [(6, -1.0)]


@pytest.mark.parametrize(
    ("request_", "status", "words_"),
    [
        (pb.ChatRequest(model="gpt-5", messages=[pb.Message(role="user", content="a")]), "NOT_FOUND", "gpt-5"),
        (pb.ChatRequest(model=MODEL), "INVALID_ARGUMENT", "messages"),
        (pb.ChatRequest(model=MODEL, messages=[pb.Message(role="robot", content="a")]), "INVALID_ARGUMENT", "role"),
        (chat_request(temperature=float("nan")), "INVALID_ARGUMENT", "temperature"),
        (chat_request(max_tokens=-2), "INVALID_ARGUMENT", "max_tokens"),
        (chat_request(max_tokens=100_000), "INVALID_ARGUMENT", "max_tokens"),
        (chat_request(stop=["x"] * 17), "INVALID_ARGUMENT", "stop"),
        (pb.ChatRequest.FromString(chat_request().SerializeToString() + b"\xf8\x07\x01"), "INVALID_ARGUMENT", "127"),
        (chat_request(stop=["x" * (5 << 20)]), "RESOURCE_EXHAUSTED", "larger than max"),
    ],
    ids=[
        "model",
        "no messages",
        "role",
        "NaN",
        "less than none",
        "beyond the context",
        "stop",
        "unknown field",
        "too large",
    ],
)
def test_a_wrong_request_is_refused(stub, harness, request_, status, words_):
    error = failed(stub.Chat(request_))
    assert (error.code().name, harness.triton.asked) == (status, [])
    assert words_ in error.details()


def test_the_field_at_fault_is_in_the_trailers(stub):
    error = failed(stub.Chat(chat_request(top_p=2)))
    assert dict(error.trailing_metadata())["x-error-param"] == "top_p"


def test_an_empty_prompt_is_refused(stub):
    for request in (pb.CompleteRequest(model=MODEL), pb.CompleteRequest(model=MODEL, text="")):
        assert failed(stub.Complete(request)).code() is grpc.StatusCode.INVALID_ARGUMENT


def test_an_overloaded_engine_is_an_exhausted_resource(stub, harness):
    harness.triton.script = refusal("OverloadedError: the queue is full")
    error = failed(stub.Chat(chat_request()))
    assert (error.code(), error.details()) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "the queue is full")


def test_the_clients_deadline_reaches_the_engine_and_frees_the_slot(stub, harness):
    harness.triton.script = endless()
    error = failed(stub.Chat(chat_request(), timeout=3.0))
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    # The client's and our clock differ a little; without a deadline it would be the limit of 3600.
    assert 0 < harness.triton.asked[0].options["timeout_s"] < 4
    wait_until(lambda: harness.triton.running == 0)


def test_a_cancelled_call_frees_its_slot(stub, harness):
    harness.triton.script = endless()
    call = stub.Chat(chat_request())
    next(call)
    call.cancel()
    wait_until(lambda: harness.triton.running == 0)


def test_a_client_that_stops_reading_is_cancelled(make_harness):
    harness = make_harness(write_timeout_s=1.0)
    harness.triton.script = endless(text="word " * 20_000, pause_s=0.001)
    with grpc.insecure_channel(harness.grpc_address) as channel:
        call = InferenceServiceStub(channel).Chat(chat_request())
        next(call)
        wait_until(lambda: harness.triton.running == 0)
        assert failed(call).code() is grpc.StatusCode.CANCELLED


def test_health_follows_the_model(make_harness):
    harness = make_harness()
    with grpc.insecure_channel(harness.grpc_address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)

        def states():
            names = ("", "appliance.v1.InferenceService")
            return [stub.Check(health_pb2.HealthCheckRequest(service=name)).status for name in names]

        wait_until(lambda: states() == [SERVING, SERVING])
        harness.triton.ready = False
        wait_until(lambda: states() == [NOT_SERVING, NOT_SERVING])


def test_reflection_describes_the_service(channel):
    pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
    service = pool.FindServiceByName("appliance.v1.InferenceService")
    assert [method.name for method in service.methods] == METHODS
    assert "temperature" in pool.FindMessageTypeByName("appliance.v1.Sampling").fields_by_name
