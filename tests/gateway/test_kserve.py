"""KServe's gRPC service in front of a fake Triton: what is passed on, what is refused, and who frees what."""

from __future__ import annotations

import logging
import queue
import threading

import grpc
import grpc.aio
import numpy as np
import pytest
import tritonclient.grpc as triton
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from appliance.gateway.kserve.service import KServeService
from appliance.gateway.triton.methods import ADMINISTRATION, INFER, QUESTIONS, SERVICE, STREAM
from tests.gateway.fake_triton import endless, refusal, words
from tests.gateway.lean_inputs import lean
from tests.waiting import LIMIT_S, wait_until

MODEL = "tiny-instruct"


def message():
    """The same as one message."""
    made = service_pb2.ModelInferRequest(model_name=MODEL)
    for one in lean():
        made.inputs.append(one._get_tensor())
        made.raw_input_contents.append(one._get_content())
    return made


class Streaming:
    """A tritonclient with an open stream, and what came back."""

    def __init__(self, address):
        self.client = triton.InferenceServerClient(address)
        self._answers = queue.SimpleQueue()
        self.client.start_stream(lambda result, error: self._answers.put((result, error)))

    def ask(self, request_id="", ids=(1, 2, 3)):
        self.client.async_stream_infer(MODEL, lean(ids), request_id=request_id)

    def answer(self):
        result, error = self._answers.get(timeout=LIMIT_S)
        if error:
            raise error
        return result

    def texts(self, count):
        found = []
        while len(found) < count:
            result = self.answer()
            if result.as_numpy("text_output") is not None:
                found.append((result.get_response().id, result.as_numpy("text_output")[0].decode()))
        return found


@pytest.fixture
def streaming(harness):
    opened = Streaming(harness.grpc_address)
    yield opened
    opened.client.stop_stream(cancel_requests=True)
    opened.client.close()
    wait_until(lambda: harness.triton.running == 0)


@pytest.fixture
def channel(harness):
    with grpc.insecure_channel(harness.grpc_address) as channel:
        yield channel


@pytest.fixture
def stub(channel):
    return service_pb2_grpc.GRPCInferenceServiceStub(channel)


def refused(call, *words_):
    with pytest.raises(grpc.RpcError) as caught:
        call(*words_)
    return caught.value


def test_a_stream_of_triton_is_passed_on(streaming, harness):
    harness.triton.script = words("Hel", "lo")
    streaming.ask()
    assert "".join(text for _, text in streaming.texts(2)) == "Hello"
    assert harness.triton.asked[0].prompt_ids == (1, 2, 3)


def test_a_request_is_written_anew_and_an_answer_of_a_newer_triton_arrives_unchanged(channel, harness):
    message = service_pb2.ModelInferRequest(model_name=MODEL, id="7").SerializeToString()
    harness.triton.infer = lambda raw: raw + b"\xfa\x3f\x05newer"
    call = channel.unary_unary(f"/{SERVICE}/{INFER}")
    answer = call(message)
    assert answer.endswith(b"\xfa\x3f\x05newer")
    passed = service_pb2.ModelInferRequest.FromString(answer[: -len(b"\xfa\x3f\x05newer")])
    assert [one.name for one in passed.inputs] == ["principal"]
    assert list(passed.raw_input_contents) == [b"\x05\0\0\0local"]
    error = refused(call, message + b"\xfa\x3f\x03new")
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "unknown field" in error.details()


@pytest.mark.parametrize("method", sorted(QUESTIONS))
def test_a_question_with_what_we_do_not_know_is_refused(channel, method):
    error = refused(channel.unary_unary(f"/{SERVICE}/{method}"), b"\xfa\x3f\x03new")
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_several_requests_of_one_stream_are_streams_of_their_own(streaming, harness):
    proceed = threading.Event()

    async def script(asked):
        async for one in words(*(str(number) for number in asked.prompt_ids))(asked):
            one.infer_response.id = asked.request_id
            yield one
            while asked.request_id == "slow" and not proceed.is_set():
                await harness.triton.pause()

    harness.triton.script = script
    streaming.ask("slow", [1, 2])
    assert streaming.texts(1) == [("slow", "1")]
    streaming.ask("quick", [3, 4])
    assert streaming.texts(3) == [("quick", "3"), ("quick", "4"), ("quick", "")]
    assert harness.triton.running == 1
    proceed.set()
    assert streaming.texts(2) == [("slow", "2"), ("slow", "")]


def test_an_error_of_the_engine_stays_within_the_stream(streaming, harness):
    harness.triton.script = refusal("RequestError[temperature]: temperature is hot")
    streaming.ask()
    with pytest.raises(InferenceServerException, match="temperature is hot"):
        streaming.answer()
    harness.triton.script = words("well")
    streaming.ask()
    assert streaming.texts(1)[0][1] == "well"


def test_a_client_that_cancels_its_stream_frees_every_slot(streaming, harness):
    harness.triton.script = endless()
    for _ in range(3):
        streaming.ask()
    wait_until(lambda: harness.triton.running == 3)
    streaming.client.stop_stream(cancel_requests=True)
    wait_until(lambda: harness.triton.running == 0)


def test_a_client_that_leaves_during_infer_frees_its_slot(stub, harness):
    harness.triton.infer = None
    call = stub.ModelInfer.future(service_pb2.ModelInferRequest(model_name=MODEL))
    wait_until(lambda: harness.triton.running == 1)
    call.cancel()
    wait_until(lambda: harness.triton.running == 0)


def test_a_deadline_of_the_client_frees_the_slot(stub, harness):
    harness.triton.infer = None
    error = refused(lambda: stub.ModelInfer(service_pb2.ModelInferRequest(model_name=MODEL), timeout=0.5))
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    wait_until(lambda: harness.triton.running == 0)


def test_a_client_that_stops_reading_loses_its_stream(make_harness):
    harness = make_harness(write_timeout_s=1.0)
    harness.triton.script = endless(text="word " * 20_000, pause_s=0.001)
    hold = threading.Event()

    def requests():
        yield message()
        hold.wait()

    with grpc.insecure_channel(harness.grpc_address) as channel:
        call = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelStreamInfer(requests())
        next(call)
        wait_until(lambda: harness.triton.running == 0)
        hold.set()
        assert refused(lambda: list(call)).code() is grpc.StatusCode.CANCELLED


def test_a_full_box_refuses_within_the_stream_and_keeps_the_others(make_harness):
    harness = make_harness(max_requests=1)
    harness.triton.script = endless()
    streaming = Streaming(harness.grpc_address)
    streaming.ask("first")
    assert streaming.texts(1)
    wait_until(lambda: harness.triton.running == 1)
    streaming.ask("second")

    with pytest.raises(InferenceServerException, match="1 requests are already running"):
        streaming.texts(1_000_000)
    with grpc.insecure_channel(harness.grpc_address) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        error = refused(stub.ModelInfer, service_pb2.ModelInferRequest(model_name=MODEL))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        # What costs nothing is answered all the same.
        assert stub.ServerLive(service_pb2.ServerLiveRequest()).live
    assert harness.triton.running == 1
    streaming.client.stop_stream(cancel_requests=True)
    streaming.client.close()
    wait_until(lambda: harness.triton.running == 0)


def test_a_client_that_reads_no_refusals_is_not_listened_to_for_ever(make_harness, caplog):
    caplog.set_level(logging.INFO, logger="appliance.gateway")
    harness = make_harness(max_requests=1, write_timeout_s=1.0)
    harness.triton.script = endless(text="word " * 20_000, pause_s=0.001)
    sent = []

    def requests():
        one = message()
        one.raw_input_contents.append(b"x" * 10_000)
        for number in range(100_000):
            sent.append(number)
            yield message() if number == 0 else one

    with grpc.insecure_channel(harness.grpc_address) as channel:
        call = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelStreamInfer(requests())
        # The client's library tells it the end after the answers that it does not read.
        wait_until(lambda: any(record.getMessage() == "stream" for record in caplog.records))
        wait_until(lambda: harness.triton.running == 0)
        assert len(sent) < 100_000
        call.cancel()


def test_a_message_over_the_limit_is_refused_before_it_costs_anything(stub, harness):
    error = refused(stub.ModelInfer, service_pb2.ModelInferRequest(raw_input_contents=[b"x" * (5 << 20)]))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert harness.triton.running == 0


@pytest.mark.parametrize("method", sorted(ADMINISTRATION))
def test_administration_is_refused_by_name(channel, method):
    error = refused(channel.unary_unary(f"/{SERVICE}/{method}"), b"")
    assert error.code() is grpc.StatusCode.PERMISSION_DENIED
    assert method in error.details()
    assert dict(error.trailing_metadata())["x-request-id"]


def test_administration_is_what_the_issue_of_a_stranger_on_the_network_asks_to_keep_closed():
    closed = {"Repository", "SharedMemory", "Trace", "Log", "Statistics"}
    assert all(any(word in method for word in closed) for method in ADMINISTRATION)
    assert not any(word in method for word in closed for method in QUESTIONS | {INFER, STREAM})


@pytest.mark.parametrize("kind", ["unary_unary", "stream_stream"])
def test_an_unknown_method_is_unimplemented_whatever_its_kind(channel, kind):
    call = getattr(channel, kind)(f"/{SERVICE}/ModelDance")
    error = refused(lambda: call(b"") if kind == "unary_unary" else list(call(iter(()))))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "no such method" in error.details()


def test_nobody_speaks_for_another_principal(stub, streaming, harness):
    message = service_pb2.ModelInferRequest(model_name=MODEL)
    message.inputs.add(name="principal", datatype="BYTES", shape=[1])
    error = refused(stub.ModelInfer, message)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert dict(error.trailing_metadata())["x-error-param"] == "principal"
    claim = triton.InferInput("principal", [1], "BYTES")
    claim.set_data_from_numpy(np.array([b"somebody"], dtype=np.object_))
    streaming.client.async_stream_infer(MODEL, [*lean(), claim])
    with pytest.raises(InferenceServerException, match="principal"):
        streaming.answer()
    assert harness.triton.asked == []


@pytest.mark.parametrize("name", ["a\nb", "\x7f", "ü", "x" * 10_000])
def test_a_name_that_no_header_can_have_is_refused_as_any_other(stub, name):
    message = service_pb2.ModelInferRequest(model_name=MODEL)
    message.inputs.add(name=name, datatype="BYTES", shape=[1]).contents.bytes_contents.append(b"a")
    assert refused(stub.ModelInfer, message).code() is grpc.StatusCode.INVALID_ARGUMENT


def test_bytes_that_are_no_request_are_refused(channel, harness):
    error = refused(channel.unary_unary(f"/{SERVICE}/{INFER}"), b"\xff\xff")
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert harness.triton.running == 0


def test_tritons_own_refusal_keeps_its_status_and_words(stub, harness):
    harness.triton.infer = KeyError
    error = refused(stub.ModelInfer, service_pb2.ModelInferRequest(model_name="nobody"))
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert error.details() == "Request for unknown model: 'nobody' is not found"


def test_a_triton_that_is_not_there_is_told_without_its_address(make_harness):
    harness = make_harness()
    harness.kill_triton()
    with grpc.insecure_channel(harness.grpc_address) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        for ask in (
            lambda: stub.ServerLive(service_pb2.ServerLiveRequest()),
            lambda: stub.ModelInfer(service_pb2.ModelInferRequest(model_name=MODEL)),
        ):
            error = refused(ask)
            assert error.code() is grpc.StatusCode.UNAVAILABLE
            assert harness.triton.sockets.name not in error.details()
            packed = rpc_status.from_call(error).details
            assert any(each.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for each in packed)
    harness.restart_triton()


def test_an_idle_stream_does_not_hold_up_the_drain(make_harness):
    harness = make_harness(drain_s=600)
    streaming = Streaming(harness.grpc_address)
    harness.triton.script = words("a")
    streaming.ask()
    streaming.texts(2)
    # Bounded by the harness: a drain that waits for the idle stream would take ten minutes.
    harness.drain()
    with pytest.raises(InferenceServerException, match="shutting down"):
        streaming.texts(1)
    streaming.client.close()


def test_a_running_request_of_a_stream_finishes_while_the_gateway_drains(make_harness):
    harness = make_harness(drain_s=600)
    proceed = threading.Event()

    async def script(asked):
        async for one in words("first", " last")(asked):
            yield one
            while not proceed.is_set():
                await harness.triton.pause()

    harness.triton.script = script
    streaming = Streaming(harness.grpc_address)
    streaming.ask()
    assert streaming.texts(1)[0][1] == "first"
    draining = threading.Thread(target=harness.drain)
    draining.start()
    wait_until(lambda: harness.is_draining)
    proceed.set()
    assert streaming.texts(1)[0][1] == " last"
    draining.join()
    streaming.client.close()


def test_each_request_of_a_stream_has_a_line_in_the_log(streaming, harness, caplog):
    caplog.set_level(logging.INFO, logger="appliance.gateway")
    harness.triton.script = words("a")
    for _ in range(2):
        streaming.ask()
    streaming.texts(4)

    def lines():
        return [record.fields for record in caplog.records if record.getMessage() == "request"]

    wait_until(lambda: len(lines()) == 2)
    assert {line["path"] for line in lines()} == {f"{SERVICE}/{STREAM}"}
    assert {(line["status"], line["model"]) for line in lines()} == {("OK", MODEL)}
    assert len({line["request_id"] for line in lines()}) == 1


def test_interceptors_see_every_call_that_is_passed_on(harness):
    """Whoever guards the gRPC server guards these methods too, although their handler is a generic one."""
    seen = []

    class Closed(grpc.aio.ServerInterceptor):
        async def intercept_service(self, _continuation, handler_call_details):
            seen.append(handler_call_details.method)

            async def abort(_requests, context):
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no key")

            return grpc.stream_stream_rpc_method_handler(abort)

    async def serve():
        server = grpc.aio.server(interceptors=[Closed()], options=[("grpc.so_reuseport", 0)])
        server.add_generic_rpc_handlers((KServeService(harness.gateway._services),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        return server, port

    server, port = harness.run(serve())
    methods = sorted(QUESTIONS | ADMINISTRATION | {INFER, STREAM, "ModelDance"})
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        errors = [refused(channel.unary_unary(f"/{SERVICE}/{method}"), b"") for method in methods]
    harness.run(server.stop(None))
    assert {error.code() for error in errors} == {grpc.StatusCode.UNAUTHENTICATED}
    assert seen == [f"/{SERVICE}/{method}" for method in methods]
