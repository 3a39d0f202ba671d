"""tritonclient against the gateway of a real box, and against one before a Triton with a model of somebody else's."""

from __future__ import annotations

import contextlib
import json
import queue
import re
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import numpy as np
import openai
import pytest
import tritonclient.grpc as triton
from prometheus_client.parser import text_string_to_metric_families
from tritonclient.utils import InferenceServerException

from appliance.gateway.proto.appliance.v1 import inference_pb2 as pb
from appliance.gateway.proto.appliance.v1.inference_pb2_grpc import InferenceServiceStub
from appliance.metrics import parse
from appliance.metrics.names import BOARD
from tests.gateway.dashboard import expressions, selectors
from tests.gateway.harness import LoopThread
from tests.gateway.identity_triton import NAME, IdentityTriton, gateway_before
from tests.running_box import RunningBox
from tests.tiny_artefact import TINY
from tests.waiting import LIMIT_S, wait_until

pytestmark = pytest.mark.triton
MARK = "xyzzy-plugh"


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBox]:
    with RunningBox(tmp_path_factory.mktemp("kserve")) as running:
        yield running


@pytest.fixture
def client(box: RunningBox) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(box.state.grpc) as client:
        yield client


def text(name: str, value: bytes) -> triton.InferInput:
    made = triton.InferInput(name, [1], "BYTES")
    made.set_data_from_numpy(np.array([value], dtype=np.object_))
    return made


def flag(name: str) -> triton.InferInput:
    made = triton.InferInput(name, [1], "BOOL")
    made.set_data_from_numpy(np.array([True]))
    return made


def stream(client: triton.InferenceServerClient, *inputs: triton.InferInput) -> Iterator[triton.InferResult]:
    """Send one request and give its answers, as a program written for Triton's vLLM backend does."""
    answers: queue.SimpleQueue[tuple[triton.InferResult, Exception | None]] = queue.SimpleQueue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    try:
        client.async_stream_infer(TINY, list(inputs), request_id="r1", enable_empty_final_response=True)
        while True:
            result, error = answers.get(timeout=LIMIT_S)
            if error:
                raise error
            if result.get_response().outputs:
                yield result
            if result.get_response().parameters["triton_final_response"].bool_param:
                return
    finally:
        client.stop_stream(cancel_requests=True)


def parameters(**settings: object) -> triton.InferInput:
    return text("sampling_parameters", json.dumps({"temperature": 0, "ignore_eos": True, **settings}).encode())


def test_what_tritonclient_asks_first_is_answered_by_triton(client: triton.InferenceServerClient):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(TINY)
    assert client.get_server_metadata().name == "triton"
    assert {tensor.name for tensor in client.get_model_metadata(TINY).inputs} >= {"text_input", "input_ids"}
    assert client.get_model_config(TINY).config.model_transaction_policy.decoupled


def test_a_stream_through_the_gateway_is_tritons_own(box: RunningBox, client: triton.InferenceServerClient):
    asked = (text("text_input", b"Once"), flag("stream"), parameters(max_tokens=8), flag("return_num_output_tokens"))
    through = [result.get_response().SerializeToString(deterministic=True) for result in stream(client, *asked)]
    with triton.InferenceServerClient(box.triton) as direct:
        itself = [result.get_response() for result in stream(direct, *asked)]
    words = [triton.InferResult(response).as_numpy("text_output")[0] for response in itself]
    assert {response.model_name for response in itself} == {TINY}
    assert b"".join(words) == b"".join(triton.InferResult(_parsed(one)).as_numpy("text_output")[0] for one in through)


def _parsed(response: bytes):
    return triton.service_pb2.ModelInferResponse.FromString(response)


def test_leaving_a_stream_frees_the_engines_slot(box: RunningBox, client: triton.InferenceServerClient):
    answers = stream(client, text("text_input", b"Once"), flag("stream"), parameters(max_tokens=60_000))
    next(answers)
    wait_until(lambda: box.slots_busy == 1)
    answers.close()
    wait_until(lambda: box.slots_busy == 0)


def test_a_deadline_of_a_grpc_call_ends_it_in_the_engine(box: RunningBox):
    def deadlines() -> int:
        return int(box.status["requests"].get("deadline", 0)) + int(box.status["requests"].get("cancelled", 0))

    before = deadlines()
    with grpc.insecure_channel(box.state.grpc) as channel:
        sampling = pb.Sampling(max_tokens=60_000, ignore_eos=True)
        call = InferenceServiceStub(channel).Complete(
            pb.CompleteRequest(model=TINY, text="Once", sampling=sampling), timeout=3.0
        )
        with pytest.raises(grpc.RpcError) as caught:
            list(call)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    wait_until(lambda: box.slots_busy == 0 and deadlines() == before + 1)


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.load_model(TINY),
        lambda client: client.unload_model(TINY),
        lambda client: client.get_model_repository_index(),
        lambda client: client.register_system_shared_memory("a", "/a", 1),
        lambda client: client.get_trace_settings(),
        lambda client: client.update_log_settings({"log_verbose_level": 9}),
        lambda client: client.get_inference_statistics(),
    ],
    ids=["load", "unload", "index", "shared memory", "trace", "log", "statistics"],
)
def test_administration_is_refused(client: triton.InferenceServerClient, ask):
    with pytest.raises(InferenceServerException, match="not available to clients") as caught:
        ask(client)
    assert caught.value.status() == "StatusCode.PERMISSION_DENIED"
    assert client.is_model_ready(TINY)


def test_tritons_own_refusals_come_through(client: triton.InferenceServerClient):
    with pytest.raises(InferenceServerException, match="decoupled"):
        client.infer(TINY, [text("text_input", b"Once")])
    with pytest.raises(InferenceServerException, match="nobody"):
        client.infer("nobody", [text("text_input", b"Once")])
    with pytest.raises(InferenceServerException, match="temperature"):
        list(stream(client, text("text_input", b"Once"), parameters(temperature=-1)))


def _samples(box: RunningBox):
    page = httpx.get(f"http://{box.state.metrics}/metrics", timeout=LIMIT_S).text
    names = [family.name for family in text_string_to_metric_families(page)]
    assert len(names) == len(set(names)), "a family stands on the page twice"
    # That parser gives counters the names of a newer format; Grafana sees those of the page.
    return parse(page)


def test_one_scrape_has_gateway_engine_and_triton_and_all_that_the_dashboard_shows(box: RunningBox):
    with openai.OpenAI(base_url=f"http://{box.state.http}/v1", api_key="unused", max_retries=0) as client:
        for _ in range(2):
            chat = [{"role": "user", "content": "Once upon a time"}]
            list(client.chat.completions.create(model=TINY, messages=chat, stream=True, max_tokens=8))
        with contextlib.suppress(openai.BadRequestError):
            client.completions.create(model=TINY, prompt="a", max_tokens=-2)
    # The engine writes its figures twice a second.
    wait_until(lambda: any(one.name == "appliance_completion_tokens_total" and one.value for one in _samples(box)))
    labels: dict[str, set[str]] = {}
    for sample in _samples(box):
        labels.setdefault(sample.name, set()).update(sample.labels)
    # Only a Jetson has them: tests/jetson/test_whole_box.py.
    a_boards = {metric.name for metric in BOARD}
    for expression in expressions():
        for selector in selectors(expression):
            if selector.name in a_boards:
                continue
            assert selector.name in labels, expression
            assert selector.labels <= labels[selector.name], expression


def test_no_log_and_no_metric_of_a_box_holds_what_was_said(box: RunningBox, client: triton.InferenceServerClient):
    said = MARK.encode()
    odd = (
        (text("text_input", said),),
        (text("text_input", b"\xff" + said), flag("stream")),
        (text("text_input", said), text("sampling_parameters", said)),
        (text("text_input", said), parameters(**{MARK: MARK})),
        (text("text_input", said), parameters(stop=[MARK], max_tokens="many")),
        (text("text_input", said), text("request_options", b"\xff" + said)),
        (text("text_input", said), text(MARK, said)),
        (text("text_input", said), text("input_ids", said)),
    )
    for inputs in odd:
        with contextlib.suppress(InferenceServerException):
            list(stream(client, *inputs))
    for body in ({"prompt": MARK}, {"prompt": MARK, "max_tokens": MARK}, {"prompt": MARK, MARK: 1}):
        httpx.post(
            f"http://{box.state.http}/v1/completions", json={"model": TINY, "max_tokens": 4, **body}, timeout=LIMIT_S
        )
    log = box.root / "run" / "gateway.log"
    # A request's line comes when it has ended, which may be after its answer.
    wait_until(lambda: log.read_text().count('"event": "request"') >= len(odd) + 3)
    for path in sorted((box.root / "run").glob("*.log")):
        assert MARK not in path.read_text(errors="replace"), path.name
    assert MARK not in httpx.get(f"http://{box.state.metrics}/metrics", timeout=LIMIT_S).text
    assert MARK not in box.output.read_text()
    ids = re.findall(r'"event": "request", "request_id": "(\w+)"', log.read_text())
    assert len(ids) >= len(odd) + 3


@pytest.fixture(scope="module")
def identity(
    tmp_path_factory: pytest.TempPathFactory, loop_thread: LoopThread, artefacts: tuple[Path, ...]
) -> Iterator[str]:
    """The address of a gateway before a Triton whose model takes plain ModelInfer."""
    with (
        IdentityTriton(tmp_path_factory.mktemp("identity")) as server,
        gateway_before(server, loop_thread, artefacts) as address,
    ):
        yield address


def test_plain_infer_passes_tensors_there_and_back(identity: str):
    given = np.arange(100_000, dtype=np.float32)
    tensor = triton.InferInput("in", given.shape, "FP32")
    tensor.set_data_from_numpy(given)
    with triton.InferenceServerClient(identity) as client:
        assert client.is_model_ready(NAME)
        assert np.array_equal(client.infer(NAME, [tensor]).as_numpy("out"), given)
        futures: queue.SimpleQueue[triton.InferResult] = queue.SimpleQueue()
        for _ in range(20):
            client.async_infer(NAME, [tensor], lambda result, error: futures.put(error or result))
        assert all(np.array_equal(futures.get(timeout=LIMIT_S).as_numpy("out"), given) for _ in range(20))
