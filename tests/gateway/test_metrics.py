"""What the gateway counts: every request once, under names of closed sets, on a page that Prometheus reads."""

from __future__ import annotations

import re
from pathlib import Path

import grpc
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from appliance.gateway.metrics.ledger import outcome
from appliance.gateway.proto.appliance.v1 import inference_pb2 as pb
from appliance.gateway.proto.appliance.v1.inference_pb2_grpc import InferenceServiceStub
from tests.gateway.fake_triton import endless, failure, piece, refusal, usage, words
from tests.waiting import LIMIT_S, wait_until

MODEL = "tiny-instruct"
CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture
def box(make_harness):
    """A gateway of the test's own: its figures start at zero."""
    return make_harness()


def scrape(box):
    """Every sample by its name and labels."""
    answer = httpx.get(box.metrics_url, timeout=LIMIT_S)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(answer.text)
    return {(one.name, *sorted(one.labels.items())): one.value for family in families for one in family.samples}


def total(box, name, **labels):
    """The sum of a metric's samples that have these labels."""
    wanted = set(labels.items())
    return sum(value for (found, *pairs), value in scrape(box).items() if found == name and wanted <= set(pairs))


def ended(box, count):
    """Wait until so many requests were counted: the line is written after the answer has left."""
    wait_until(lambda: total(box, "appliance_gateway_requests_total") == count)


def post(box, path="/v1/chat/completions", **body):
    return httpx.post(f"{box.url}{path}", json={**CHAT, **body}, timeout=LIMIT_S)


def test_a_streamed_chat_is_measured_from_end_to_end(box):
    async def script(asked):
        yield piece("a", [1])
        cost = {**usage(asked, 5, cached_tokens=2), "queue_s": 0.5, "decode_s": 2.0}
        yield piece("b", [2, 3, 4, 5], finish="stop", usage=cost)

    box.triton.script = script
    assert post(box, stream=True).status_code == 200
    ended(box, 1)
    labels = {"gen_ai_operation_name": "chat", "gen_ai_request_model": MODEL}
    assert total(box, "gen_ai_server_request_duration_seconds_count", error_type="", **labels) == 1
    assert total(box, "gen_ai_server_time_to_first_token_seconds_count", **labels) == 1
    # Two seconds for the four tokens after the first.
    assert total(box, "gen_ai_server_time_per_output_token_seconds_sum", **labels) == 0.5
    assert total(box, "gen_ai_client_token_usage_sum", gen_ai_token_type="output", **labels) == 5
    assert total(box, "gen_ai_client_token_usage_sum", gen_ai_token_type="input", **labels) > 5
    assert total(box, "appliance_gateway_cached_tokens_total", **labels) == 2
    assert total(box, "appliance_gateway_queue_seconds_sum", gen_ai_request_model=MODEL) == 0.5
    assert total(box, "appliance_gateway_requests_total", endpoint="/v1/chat/completions", outcome="ok") == 1


@pytest.mark.parametrize("scored", [{}, {"prompt_logprobs": 1}])
def test_an_answer_in_one_piece_has_no_time_to_its_first_token(box, scored):
    box.triton.script = words("a", "b")
    assert post(box, **scored).status_code == 200
    ended(box, 1)
    assert total(box, "gen_ai_server_time_to_first_token_seconds_count") == 0
    assert total(box, "gen_ai_client_token_usage_count") == 2


def test_refusals_and_failures_are_told_apart(box):
    post(box, top_p=9)
    post(box, model="gpt-5")
    box.triton.script = refusal("OverloadedError: the queue is full")
    post(box)
    box.triton.script = refusal("EngineError: the graph is gone")
    post(box)
    ended(box, 4)
    assert total(box, "appliance_gateway_requests_total", outcome="refused") == 3
    assert total(box, "appliance_gateway_requests_total", outcome="failed") == 1
    reasons = ("RequestError", "UnknownModelError", "OverloadedError", "EngineError")
    assert [total(box, "appliance_gateway_refusals_total", reason=reason) for reason in reasons] == [1, 1, 1, 1]


def test_a_stream_that_fails_after_its_status_has_failed(box):
    async def script(_asked):
        yield piece("a", [1])
        yield failure("EngineError: the graph is gone")

    box.triton.script = script
    assert post(box, stream=True).status_code == 200
    ended(box, 1)
    assert total(box, "appliance_gateway_requests_total", outcome="failed") == 1
    assert total(box, "gen_ai_server_request_duration_seconds_count", error_type="EngineError") == 1


def test_a_client_that_leaves_has_cancelled_and_is_in_flight_until_then(box):
    box.triton.script = endless()
    with httpx.stream(
        "POST", f"{box.url}/v1/chat/completions", json={**CHAT, "stream": True}, timeout=LIMIT_S
    ) as stream:
        lines = stream.iter_lines()
        next(lines)
        assert total(box, "appliance_gateway_requests_in_flight") == 1
    ended(box, 1)
    assert total(box, "appliance_gateway_requests_total", outcome="cancelled") == 1
    wait_until(lambda: total(box, "appliance_gateway_requests_in_flight") == 0)


def test_grpc_calls_are_counted_under_their_full_names(box):
    with grpc.insecure_channel(box.grpc_address) as channel:
        stub = InferenceServiceStub(channel)
        list(stub.Chat(pb.ChatRequest(model=MODEL, messages=[pb.Message(role="user", content="a")])))
        stub.ListModels(pb.ListModelsRequest())
        with pytest.raises(grpc.RpcError):
            list(stub.Complete(pb.CompleteRequest(model=MODEL)))
        call = stub.Complete(pb.CompleteRequest(model=MODEL, text="a"))
        box.triton.script = endless()
        next(call)
        call.cancel()
    ended(box, 4)
    name, service = "appliance_gateway_requests_total", "appliance.v1.InferenceService"
    assert total(box, name, endpoint=f"{service}/Chat", outcome="ok") == 1
    assert total(box, name, endpoint=f"{service}/ListModels", outcome="ok") == 1
    assert total(box, name, endpoint=f"{service}/Complete", outcome="refused") == 1
    assert total(box, "gen_ai_server_time_to_first_token_seconds_count", gen_ai_operation_name="chat") == 1


def test_what_clients_write_never_becomes_a_label(box):
    before = len(scrape(box))
    for number in range(20):
        httpx.get(f"{box.url}/made-up-{number}", timeout=LIMIT_S)
        httpx.request(f"VERB{number}", f"{box.url}/v1/models", timeout=LIMIT_S)
        httpx.get(f"{box.url}/v1/models/made-up-{number}", timeout=LIMIT_S)
        post(box, model=f"made-up-{number}")
    ended(box, 80)
    text = httpx.get(box.metrics_url, timeout=LIMIT_S).text
    assert "made-up" not in text
    assert "VERB" not in text
    # One histogram without a model, and a counter for each of a few endpoints and reasons.
    assert len(scrape(box)) - before < 40


def test_the_page_of_the_documentation_has_the_metrics_that_a_scrape_has(box):
    box.triton.script = words("a", "b")
    post(box, stream=True)
    post(box, top_p=9)
    ended(box, 2)
    scraped = {
        (name.removesuffix("_bucket"), tuple(sorted(label for label, _ in labels if label != "le")))
        for name, *labels in scrape(box)
        if not name.startswith("process_") and not re.search("_(sum|count|created)$", name)
    }
    page = (Path(__file__).resolve().parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    section = page.partition("## Metrics of the gateway")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| \w+ \| (.*?) \|", section, re.MULTILINE)
    assert scraped == {(name, tuple(sorted(re.findall(r"\w+", labels)))) for name, labels in rows}


def test_without_triton_the_gateways_own_figures_are_still_there(box):
    assert total(box, "appliance_gateway_triton_up") == 0
    assert ("appliance_gateway_requests_in_flight",) in scrape(box)


def test_the_listener_has_nothing_else(box):
    root = box.metrics_url.removesuffix("/metrics")
    assert httpx.get(f"{root}/v1/models", timeout=LIMIT_S).status_code == 404
    # The API has the same page, for those with a key: test_keys.py.
    assert httpx.get(f"{box.url}/metrics", timeout=LIMIT_S).text.startswith("# HELP")
    assert httpx.post(box.metrics_url, timeout=LIMIT_S).status_code == 405


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ({"status": 200}, "ok"),
        ({"status": "OK"}, "ok"),
        ({"status": 200, "error": "EngineError"}, "failed"),
        ({"status": 200, "error": "ClientGoneError"}, "cancelled"),
        ({"status": 499, "error": "ClientGoneError"}, "cancelled"),
        ({"status": 0}, "cancelled"),
        ({"status": "CANCELLED"}, "cancelled"),
        ({"status": 404, "error": "UnknownPathError"}, "refused"),
        ({"status": "INVALID_ARGUMENT", "error": "RequestError"}, "refused"),
        ({"status": 500}, "failed"),
        ({"status": "UNAVAILABLE", "error": "UnavailableError"}, "failed"),
    ],
)
def test_how_a_request_ended_is_one_of_four_words(line, expected):
    assert outcome(line) == expected
