"""Triton's HTTP API through the gateway: the rules of its other listeners hold, and Triton gets what was checked."""

from __future__ import annotations

import json
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
from appliance.gateway.triton_http.generate_body import generate_body
from appliance.triton.contract import INPUTS
from tests.gateway.keys import Keys, bearer, id_of
from tests.gateway.triton_http import ANSWER, FakeTritonHttp
from tests.waiting import wait_until

MODEL = "tiny-instruct"
GENERATE = f"/v2/models/{MODEL}/generate"
STREAM = f"/v2/models/{MODEL}/generate_stream"
BODY = {"text_input": "Once", "parameters": {"max_tokens": 3}}


class Box:
    """A gateway with Triton's HTTP API, a fake of it behind, and a client."""

    def __init__(self, make_harness, **limits) -> None:
        self.harness = make_harness(triton_http=Address("127.0.0.1", 0), **limits)
        self.harness.wait_until_ready()
        self.triton = FakeTritonHttp()
        self.harness.run(self.triton.start(self.harness.triton.sockets))
        self.client = httpx.Client(base_url=f"http://{self.harness.gateway.triton_http.address}", timeout=60)

    def close(self) -> None:
        self.client.close()
        self.harness.run(self.triton.stop())


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
    answer = box.client.post(GENERATE, json=BODY, headers=bearer(key))
    assert (answer.status_code, answer.content) == (200, ANSWER)
    assert box.triton.asked == [(GENERATE, {**BODY, "principal": f"key:{id_of(key)}"})]


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
        f"/v2/models/{MODEL}/generate/",
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


def test_the_configuration_does_not_tell_where_the_artefact_lies(box):
    box.triton.pieces = [json.dumps({"name": MODEL, "parameters": {"artefact": {"string_value": "/secret"}}}).encode()]
    assert box.client.get(f"/v2/models/{MODEL}/config").json() == {"name": MODEL}


def test_pieces_come_as_triton_sends_them_and_hanging_up_ends_the_request(box):
    box.triton.pieces = [b"data: 1\n\n", None]
    with box.client.stream("POST", STREAM, json=BODY) as answer:
        pieces = answer.iter_raw()
        assert next(pieces) == b"data: 1\n\n"
        assert box.triton.running == 1
    wait_until(lambda: box.triton.running == 0)


def test_tritons_own_errors_come_through(box):
    box.triton.status, box.triton.pieces = "400 Bad Request", [b'{"error":"no"}']
    answer = box.client.post(GENERATE, json=BODY)
    assert (answer.status_code, answer.json()) == (400, {"error": "no"})


def test_a_triton_that_dies_in_the_middle_is_told_at_the_end_of_the_stream(box):
    box.triton.pieces = [b"data: 1\n\n", b""]
    lines = box.client.post(STREAM, json=BODY).text.split("\n\n")
    assert lines[0] == "data: 1"
    assert "model server" in json.loads(lines[1].removeprefix("data: "))["error"]


def test_a_triton_that_is_not_there_is_a_503(box):
    box.harness.run(box.triton.stop())
    (box.harness.triton.sockets / "http").unlink(missing_ok=True)
    answer = box.client.post(GENERATE, json=BODY)
    assert answer.status_code == 503
    assert answer.headers["retry-after"]


def test_a_request_ends_at_the_boxs_time_limit(make_box):
    box = make_box(timeout_s=0.2)
    box.triton.pieces = [b"data: 1\n\n", None]
    assert "time ran out" in box.client.post(STREAM, json=BODY).text
    wait_until(lambda: box.triton.running == 0)


NAMES = st.sampled_from([tensor.name for tensor in INPUTS] + ["parameters", "id", "max_tokens"]) | st.text(max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


def _spellings(key: str) -> st.SearchStrategy[str]:
    """The key in JSON, any of its characters escaped."""
    escaped = [f"\\u{ord(character):04x}" for character in key if ord(character) < 0xD800]
    return st.tuples(*(st.sampled_from([json.dumps(c)[1:-1], e]) for c, e in zip(key, escaped, strict=False))).map(
        lambda parts: '"' + "".join(parts) + '"'
    )


def _members(keys: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(keys.flatmap(_spellings), VALUES.map(json.dumps)).map(lambda pair: f"{pair[0]}: {pair[1]}")


# An object with any names, repeated ones too, among them the one that must not be taken.
BODIES = st.lists(_members(NAMES | st.just("principal") | st.just("principal\0")), max_size=6).map(
    lambda members: "{" + ", ".join(members) + "}"
)


@settings(max_examples=300)
@given(BODIES)
def test_whatever_a_body_says_its_principal_is_the_true_one(text):
    try:
        sent = generate_body(text.encode(), "key:true")
    except RequestError:
        return
    names: list[tuple[str, object]] = []
    json.loads(sent, object_pairs_hook=lambda pairs: names.extend(pairs) or dict(pairs))
    assert [value for name, value in names if name.partition("\0")[0] == "principal"] == ["key:true"]
    assert len({name for name, _ in names}) == len(names) or "parameters" in dict(names)


@pytest.mark.parametrize(
    "text",
    [
        '{"principal": "x"}',
        '{"parameters": {"principal": "x"}}',
        '{"pr\\u0069ncipal": "x"}',
        '{"principal\\u0000": "x"}',
        '{"parameters": {"parameters": {"principal": "x"}}}',
        '{"text_input": [{"principal": "x"}]}',
        '{"parameters": []}',
        '{"max_tokens": NaN}',
        "[]",
        "{",
    ],
)
def test_what_could_stand_for_another_name_is_refused(text):
    with pytest.raises(RequestError):
        generate_body(text.encode(), "key:true")
