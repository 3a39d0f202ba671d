"""Triton's HTTP API through the gateway: the rules of its other listeners hold, and Triton gets what was checked."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.address import Address
from appliance.auth.policy import Policy
from appliance.errors import RequestError
from appliance.gateway.access.account import Limits
from appliance.gateway.access.door import DoorLimits
from appliance.gateway.triton_http.generate_request import generate_request
from appliance.inference.tensors import INPUTS
from tests.gateway.fake_triton import endless, final, refusal, words
from tests.gateway.keys import Keys, bearer, id_of
from tests.waiting import LIMIT_S, wait_until

MODEL = "tiny-instruct"
GENERATE = f"/v2/models/{MODEL}/generate"
STREAM = f"/v2/models/{MODEL}/generate_stream"
BODY = {
    "input_ids": [1, 2],
    "stream": False,
    "sampling_parameters": '{"max_tokens": 3}',
    "parameters": {"request_options": "{}"},
}
STREAMED = {**BODY, "stream": True}


class Box:
    """A gateway with Triton's HTTP API, and a client."""

    def __init__(self, make_harness, **limits) -> None:
        self.harness = make_harness(triton_http=Address("127.0.0.1", 0), **limits)
        self.harness.wait_until_ready()
        self.triton = self.harness.triton
        self.client = httpx.Client(base_url=f"http://{self.harness.gateway.triton_http.address}", timeout=LIMIT_S)

    def close(self) -> None:
        self.client.close()


@pytest.fixture
def make_box(make_harness) -> Iterator:
    made: list[Box] = []

    def make(**limits) -> Box:
        made.append(Box(make_harness, **limits))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def box(make_box) -> Box:
    return make_box()


@pytest.fixture
def keys(tmp_path) -> Keys:
    return Keys(tmp_path / "keys" / "keys.json")


def test_triton_is_asked_in_the_name_of_who_is_authenticated_and_its_answer_comes_back(make_box, keys):
    box = make_box(policy=Policy(keys=keys.file.path))
    key = keys.make("infer")
    answer = box.client.post(GENERATE, json={**BODY, "id": "mine"}, headers=bearer(key))
    assert answer.status_code == 200
    assert answer.json()["text_output"] == "Hello world"
    (asked,) = box.triton.asked
    assert (asked.request_id, asked.model, asked.prompt_ids) == ("mine", MODEL, (1, 2))
    assert (asked.stream, asked.sampling, asked.principal) == (False, {"max_tokens": 3}, f"key:{id_of(key)}")


def test_without_a_key_nothing_reaches_triton(make_box, keys):
    box = make_box(policy=Policy(keys=keys.file.path))
    reader = keys.make("read")
    for path in (GENERATE, STREAM):
        assert box.client.post(path, json=BODY).status_code == 401
        assert box.client.post(path, json=BODY, headers=bearer(reader)).status_code == 403
    for path in ("/v2", f"/v2/models/{MODEL}", f"/v2/models/{MODEL}/config"):
        assert box.client.get(path).status_code == 401
    assert box.client.get("/v2/health/live").status_code == 200
    assert box.triton.asked == []


def test_errors_have_tritons_shape(box):
    answer = box.client.post("/v2/models/absent/generate", json=BODY)
    assert answer.status_code == 404
    assert set(answer.json()) == {"error"}
    assert "absent" in answer.json()["error"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": "text/plain;application/json"}, 415),
        ({"content-type": "application/json", "host": "evil.example"}, 421),
    ],
)
def test_a_web_page_of_others_cannot_use_it(box, headers, status):
    answer = box.client.post(GENERATE, content=json.dumps(BODY), headers={"origin": "http://evil.example", **headers})
    assert answer.status_code == status
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert box.triton.asked == []


def test_limits_hold_as_elsewhere(make_box):
    one = DoorLimits(principal=Limits("this principal", requests_per_minute=1))
    box = make_box(limits=one, max_body_bytes=2048)
    assert box.client.post(GENERATE, json={"text_input": "a" * 3000}).status_code == 413
    refused = box.client.post(GENERATE, json=BODY)
    assert refused.status_code == 429
    assert refused.headers["retry-after"]
    assert box.triton.asked == []


def test_where_tokens_are_limited_nobody_gets_past_the_count(make_box):
    box = make_box(limits=DoorLimits(max_prompt_tokens=5))
    assert box.client.post(GENERATE, json=BODY).status_code == 403
    assert box.triton.asked == []


@pytest.mark.parametrize(
    "path",
    [
        "/v2/repository/index",
        f"/v2/repository/models/{MODEL}/load",
        f"/v2/repository/models/{MODEL}/unload",
        "/v2/systemsharedmemory/status",
        "/v2/systemsharedmemory/region/a/register",
        "/v2/cudasharedmemory/region/a/register",
        "/v2/trace/setting",
        "/v2/logging",
        f"/v2/models/{MODEL}/stats",
        f"/v2/models/{MODEL}/trace/setting",
    ],
)
def test_administration_is_refused(box, path):
    assert box.client.post(path, json={}).status_code == 403
    assert box.client.get(path).status_code == 403
    assert box.triton.asked == []


@pytest.mark.parametrize(
    "path",
    [
        f"/v2/models/{MODEL}/../../repository/index",
        f"/v2/models/{MODEL}%2f..%2f..%2frepository/generate",
        f"/v2/models/{MODEL}%00/generate",
        f"/v2/models/{MODEL}/versions/2/generate",
        "/metrics",
        "/",
    ],
)
def test_paths_of_other_making_do_not_reach_triton(box, path):
    assert box.client.post(path, json=BODY).status_code in {307, 403, 404, 405}
    assert box.triton.asked == []


def test_infer_is_refused_with_the_calls_that_work(box):
    answer = box.client.post(f"/v2/models/{MODEL}/infer", json={"inputs": []})
    assert answer.status_code == 400
    assert "generate_stream" in answer.json()["error"]


def test_pieces_come_as_they_are_made_and_hanging_up_ends_the_request(box):
    box.triton.script = endless()
    with box.client.stream("POST", STREAM, json=STREAMED) as answer:
        lines = answer.iter_lines()
        assert json.loads(next(lines).removeprefix("data: "))["text_output"] == "word "
        assert box.triton.running == 1
    wait_until(lambda: box.triton.running == 0)


def test_hanging_up_ends_a_request_whose_answer_has_not_begun(box):
    started = threading.Event()

    async def script(_asked):
        started.set()
        while True:
            await box.triton.pause()
            yield final()

    box.triton.script = script
    address = box.harness.gateway.triton_http.address
    body = json.dumps(BODY).encode()
    head = (
        f"POST {GENERATE} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((address.host, address.port), timeout=LIMIT_S) as connection:
        connection.sendall(head.encode() + body)
        assert started.wait(LIMIT_S)
    wait_until(lambda: box.triton.running == 0)


def test_an_answer_in_pieces_is_no_answer_to_generate(box):
    box.triton.script = words("a", "b")
    answer = box.client.post(GENERATE, json=STREAMED)
    assert answer.status_code == 400
    assert "generate_stream" in answer.json()["error"]


@pytest.mark.parametrize("path", [GENERATE, STREAM])
@pytest.mark.parametrize(
    ("message", "status"), [("RequestError[temperature]: no", 400), ("OverloadedError: the queue is full", 429)]
)
def test_an_error_of_the_model_has_its_own_status(box, path, message, status):
    box.triton.script = refusal(message)
    answer = box.client.post(path, json=BODY)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}


def test_a_triton_that_dies_in_the_middle_is_told_at_the_end_of_the_stream(box):
    box.triton.script = endless()
    with box.client.stream("POST", STREAM, json=STREAMED) as answer:
        lines = answer.iter_lines()
        next(lines)
        box.harness.kill_triton()
        *_, last = [line for line in lines if line]
    assert "model server" in json.loads(last.removeprefix("data: "))["error"]


def test_a_triton_that_is_not_there_is_a_503(box):
    box.harness.kill_triton()
    answer = box.client.post(GENERATE, json=BODY)
    assert answer.status_code == 503
    assert answer.headers["retry-after"]


@pytest.mark.parametrize("timeout_s", [1e-9, 1e-4, 0.2])
def test_a_request_ends_at_the_boxs_time_limit(make_box, timeout_s):
    # Also where the time is over before Triton was asked.
    box = make_box(timeout_s=timeout_s)
    box.triton.script = endless()
    assert "deadline passed" in box.client.post(STREAM, json=STREAMED).text
    wait_until(lambda: box.triton.running == 0)


NAMES = st.sampled_from([tensor.name for tensor in INPUTS] + ["parameters", "id", "max_tokens", "principal\0"])
VALUES = st.sampled_from(
    [None, True, 1, 1.5, "x", "", [], [1], ["x", "y"], [["x"]], {"principal": "x"}, {"stream": True}]
)


def _member(name: str, is_escaped: bool, value: object) -> str:
    """A member of an object as JSON, its name perhaps in escapes."""
    spelt = "".join(f"\\u{ord(character):04x}" for character in name) if is_escaped else json.dumps(name)[1:-1]
    return f'"{spelt}": {json.dumps(value)}'


# An object with any names, repeated ones too, among them the one that must not be taken.
BODIES = st.lists(st.builds(_member, NAMES, st.booleans(), VALUES), max_size=5).map(
    lambda members: "{" + ", ".join(members) + "}"
)


@settings(max_examples=200, deadline=None)
@given(BODIES)
def test_whatever_a_body_says_it_names_no_principal(text):
    try:
        sent = generate_request(MODEL, text.encode(), streams=True)
    except RequestError:
        return
    names = [tensor.name for tensor in sent.inputs]
    assert len(set(names)) == len(names) == len(sent.raw_input_contents)
    assert set(names) <= {tensor.name for tensor in INPUTS}
    assert "principal" not in names
    assert "principal" not in sent.parameters
    assert sent.model_name == MODEL


@pytest.mark.parametrize(
    "text",
    [
        '{"principal": "x"}',
        '{"parameters": {"principal": "x"}}',
        '{"pr\\u0069ncipal": "x"}',
        '{"parameters": {"parameters": {"principal": "x"}}}',
        '{"text_input": [{"principal": "x"}]}',
        '{"parameters": []}',
        '{"text_input": "a", "parameters": {"text_input": "b"}}',
        '{"max_tokens": null}',
        '{"max_tokens": 9223372036854775808}',
        '{"input_ids": [2147483648]}',
        '{"input_ids": [true]}',
        '{"stream": "true"}',
        '{"text_input": ["a", 1]}',
        '{"text_input": []}',
        '{"stream": [true, false]}',
        '{"text_input": "\\ud800"}',
        '{"\\ud800": 1}',
        '{"a": "\\ud800"}',
        '{"id": "\\ud800"}',
        '{"id": 1}',
        "[]",
        "{",
    ],
)
def test_what_could_stand_for_another_name_is_refused(text):
    with pytest.raises(RequestError):
        generate_request(MODEL, text.encode(), streams=True)
