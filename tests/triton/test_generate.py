"""Triton's HTTP API on a real box with keys: who asks is who is authenticated, and who hangs up is let go."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from appliance.address import Address
from tests.running_box import RunningBox
from tests.tiny_artefact import TINY
from tests.waiting import LIMIT_S, wait_until

pytestmark = pytest.mark.triton
GENERATE = f"/v2/models/{TINY}/generate"
IDS = [30 + number % 50 for number in range(200)]
GREEDY = {"temperature": 0, "max_tokens": 4, "ignore_eos": True}
LONG = {"max_tokens": 60_000, "ignore_eos": True}


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBox]:
    prepared = RunningBox(tmp_path_factory.mktemp("box"), ["--triton-http", "127.0.0.1:0"])
    prepared.call("key", "create", "first")
    with prepared as running:
        yield running


def _key(box: RunningBox) -> str:
    return box.call("key", "create", "another").stdout.strip()


def _post(box: RunningBox, key: str, body: dict[str, Any] | str, path: str = GENERATE) -> httpx.Response:
    content = body if isinstance(body, str) else json.dumps(body)
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    return httpx.post(f"http://{box.state.triton_http}{path}", content=content, headers=headers, timeout=120)


def _cached(box: RunningBox, key: str) -> int:
    answer = _post(box, key, {"input_ids": IDS, "sampling_parameters": json.dumps(GREEDY)})
    assert answer.status_code == 200, answer.text
    return int(json.loads(answer.json()["usage"])["cached_tokens"])


def test_prefixes_are_shared_within_one_key_alone(box: RunningBox):
    anna, bert = _key(box), _key(box)
    assert [_cached(box, anna), _cached(box, bert)] == [0, 0]
    assert _cached(box, anna) > 0


@pytest.mark.parametrize(
    "text",
    [
        '{"text_input": "a", "principal": "key:x"}',
        '{"text_input": "a", "parameters": {"principal": "key:x"}}',
        '{"text_input": "a", "pr\\u0069ncipal": "key:x"}',
        '{"text_input": "a", "principal": "key:x", "principal": "key:y"}',
    ],
)
def test_nobody_speaks_in_the_name_of_another(box: RunningBox, text: str):
    answer = _post(box, _key(box), text)
    assert answer.status_code == 400
    assert "principal" in answer.json()["error"]


def test_a_key_is_needed_and_triton_is_asked_what_it_knows(box: RunningBox):
    assert _post(box, "apl_none", {"text_input": "a"}).status_code == 401
    headers = {"authorization": f"Bearer {_key(box)}"}
    with httpx.Client(base_url=f"http://{box.state.triton_http}", headers=headers, timeout=LIMIT_S) as client:
        assert client.get("/v2").json()["name"] == "triton"
        assert client.get(f"/v2/models/{TINY}").json()["name"] == TINY
        assert client.get(f"/v2/models/{TINY}/ready").status_code == 200
        config = client.get(f"/v2/models/{TINY}/config")
        assert config.json()["model_transaction_policy"] == {"decoupled": True}
        assert "artefact" not in config.text


@pytest.mark.parametrize("action", ["generate", "generate_stream"])
def test_hanging_up_frees_the_slot(box: RunningBox, action: str):
    address = Address.from_text(box.state.triton_http or "")
    stream = action == "generate_stream"
    body = json.dumps({"text_input": "Once", "stream": stream, "sampling_parameters": json.dumps(LONG)})
    head = f"POST /v2/models/{TINY}/{action} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += f"Authorization: Bearer {_key(box)}\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((address.host, address.port), timeout=LIMIT_S) as client:
        client.sendall((head + body).encode())
        wait_until(lambda: box.slots_busy == 1)
    wait_until(lambda: box.slots_busy == 0)
