"""Rich error details: a client of any language learns reason, field and when to try again, without parsing text."""

from __future__ import annotations

import grpc
import pytest
from google.rpc import error_details_pb2 as details
from grpc_status import rpc_status

from appliance.errors import ApplianceError
from appliance.gateway.error_table import TABLE
from appliance.gateway.proto.appliance.v1 import inference_pb2 as pb
from appliance.gateway.proto.appliance.v1.inference_pb2_grpc import InferenceServiceStub
from appliance.gateway.refusals import LimitError
from appliance.gateway.rpc.failure import reason
from tests.gateway.fake_triton import refusal

MODEL = "tiny-instruct"


@pytest.fixture
def stub(harness):
    with grpc.insecure_channel(harness.grpc_address) as channel:
        yield InferenceServiceStub(channel)


def failed(stub, request, **options):
    with pytest.raises(grpc.RpcError) as caught:
        list(stub.Complete(request, **options))
    return caught.value


def rich(error):
    """The details of a failed call by their type, as a client's library finds them."""
    status = rpc_status.from_call(error)
    assert status is not None
    assert (status.code, status.message) == (error.code().value[0], error.details())
    found = {}
    for packed in status.details:
        kind = getattr(details, packed.TypeName().rpartition(".")[2])
        message = kind()
        assert packed.Unpack(message)
        found[kind.__name__] = message
    return found


def test_the_field_at_fault_is_a_violation(stub):
    error = failed(stub, pb.CompleteRequest(model=MODEL, text="a", sampling=pb.Sampling(top_p=2)))
    found = rich(error)
    (violation,) = found["BadRequest"].field_violations
    assert violation.field == "top_p"
    assert violation.description == error.details()
    assert (found["ErrorInfo"].reason, found["ErrorInfo"].domain) == ("REQUEST_ERROR", "appliance")
    assert "RetryInfo" not in found


def test_the_request_id_is_among_the_details_and_the_trailers(stub):
    error = failed(stub, pb.CompleteRequest(model=MODEL), metadata=(("x-request-id", "trace-7"),))
    assert rich(error)["RequestInfo"].request_id == dict(error.trailing_metadata())["x-request-id"] == "trace-7"


def test_a_refusal_for_want_of_room_says_when_to_try_again(stub, harness):
    harness.triton.script = refusal("OverloadedError: the queue is full")
    found = rich(failed(stub, pb.CompleteRequest(model=MODEL, text="a")))
    assert found["RetryInfo"].retry_delay.seconds == 1
    assert found["ErrorInfo"].reason == "OVERLOADED"
    assert "BadRequest" not in found


def test_a_prompt_beyond_the_context_has_the_http_apis_code(stub):
    found = rich(failed(stub, pb.CompleteRequest(model=MODEL, text="a" * 600)))
    assert found["ErrorInfo"].reason == "CONTEXT_LENGTH_EXCEEDED"


def test_a_message_that_quotes_megabytes_still_arrives(stub):
    error = failed(stub, pb.CompleteRequest(model="ü" * 1_000_000, text="a"))
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert rich(error)["BadRequest"].field_violations[0].field == "model"


def test_every_error_has_a_reason_in_the_form_that_the_rules_ask_for():
    for kind in TABLE:
        error = LimitError("words", retry_after_s=1) if kind is LimitError else kind("words")
        assert isinstance(error, ApplianceError)
        assert reason(error).replace("_", "").isalpha()
        assert reason(error) == reason(error).upper()
