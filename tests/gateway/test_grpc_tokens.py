"""What the gRPC API tells without the model: tokens, texts, models. None of it waits for generation."""

from __future__ import annotations

import grpc
import pytest

from appliance.gateway.proto.appliance.v1 import inference_pb2 as pb
from appliance.gateway.proto.appliance.v1.inference_pb2_grpc import InferenceServiceStub
from tests.gateway.fake_triton import endless
from tests.gateway.tiny_artefact import CONTEXT_TOKENS, tiny_tokenizer
from tests.waiting import wait_until

MODEL = "tiny-instruct"
TURN = pb.Message(role="user", content="Grüße")


@pytest.fixture
def stub(harness):
    with grpc.insecure_channel(harness.grpc_address) as channel:
        yield InferenceServiceStub(channel)


def refused(call, request):
    with pytest.raises(grpc.RpcError) as caught:
        call(request)
    return caught.value


def test_tokens_of_a_text_are_those_that_complete_sends_to_the_model(stub, harness):
    ids = stub.Tokenize(pb.TokenizeRequest(model=MODEL, text="Grüße")).token_ids
    list(stub.Complete(pb.CompleteRequest(model=MODEL, text="Grüße")))
    assert list(ids) == list(harness.triton.asked[0].prompt_ids) == tiny_tokenizer().encode("Grüße").ids


def test_tokens_of_a_conversation_are_those_that_chat_sends_to_the_model(stub, harness):
    request = pb.TokenizeRequest(model=MODEL, conversation=pb.Conversation(messages=[TURN]))
    ids = stub.Tokenize(request).token_ids
    list(stub.Chat(pb.ChatRequest(model=MODEL, messages=[TURN])))
    assert list(ids) == list(harness.triton.asked[0].prompt_ids)


@pytest.mark.parametrize("text", ["", "a", "Grüße 🎉", "<|im_start|>user", "x" * (CONTEXT_TOKENS + 5000)])
def test_a_text_comes_back_from_its_tokens_also_if_it_is_too_long_for_the_model(stub, text):
    ids = stub.Tokenize(pb.TokenizeRequest(model=MODEL, text=text)).token_ids
    assert stub.Detokenize(pb.DetokenizeRequest(model=MODEL, token_ids=ids)).text == text


def test_models_are_listed_with_what_a_client_must_know(stub):
    instruct, base, talker = stub.ListModels(pb.ListModelsRequest()).models
    assert (instruct.name, instruct.context_tokens, instruct.chat, instruct.ready) == (
        MODEL,
        CONTEXT_TOKENS,
        True,
        True,
    )
    assert (base.name, base.chat) == ("tiny-base", False)
    assert (talker.name, talker.chat) == ("tiny-talker", True)
    assert instruct.fingerprint.startswith("fp_")


@pytest.mark.parametrize(
    ("request_", "status", "param"),
    [
        (pb.TokenizeRequest(model="gpt-5", text="a"), "NOT_FOUND", "model"),
        (pb.TokenizeRequest(model=MODEL), "INVALID_ARGUMENT", "input"),
        (pb.TokenizeRequest(model=MODEL, conversation=pb.Conversation()), "INVALID_ARGUMENT", "messages"),
        (
            pb.TokenizeRequest(model="tiny-base", conversation=pb.Conversation(messages=[TURN])),
            "INVALID_ARGUMENT",
            "model",
        ),
        (pb.TokenizeRequest.FromString(b"\xf8\x07\x01"), "INVALID_ARGUMENT", None),
    ],
    ids=["model", "nothing", "no messages", "base model", "unknown field"],
)
def test_what_cannot_be_tokenised_is_refused(stub, request_, status, param):
    error = refused(stub.Tokenize, request_)
    assert error.code().name == status
    assert dict(error.trailing_metadata()).get("x-error-param") == param


@pytest.mark.parametrize("token", [-1, 10_000])
def test_a_token_that_the_model_does_not_know_is_refused(stub, token):
    error = refused(stub.Detokenize, pb.DetokenizeRequest(model=MODEL, token_ids=[token]))
    assert (error.code(), dict(error.trailing_metadata())["x-error-param"]) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "token_ids",
    )


def test_a_full_box_still_counts_tokens(make_harness):
    harness = make_harness(max_requests=1)
    harness.triton.script = endless()
    with grpc.insecure_channel(harness.grpc_address) as channel:
        stub = InferenceServiceStub(channel)
        running = stub.Complete(pb.CompleteRequest(model=MODEL, text="a"))
        wait_until(lambda: harness.triton.running == 1)
        refusal = refused(lambda request: list(stub.Complete(request)), pb.CompleteRequest(model=MODEL, text="a"))
        assert refusal.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert len(stub.Tokenize(pb.TokenizeRequest(model=MODEL, text="abc")).token_ids) == 3
        running.cancel()
