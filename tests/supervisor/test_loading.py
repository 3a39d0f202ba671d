"""Models that a real Triton loads and unloads while the box answers with others."""

from __future__ import annotations

import concurrent.futures
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from appliance.cli.rim import run
from appliance.errors import IntegrityError, UnknownModelError
from appliance.layout import Layout
from appliance.supervisor.status import look
from appliance.triton.model_process import model_processes
from tests.configuration.test_engine_keys import ADDRESSES, ConfiguredBox
from tests.tiny_artefact import make_tiny_artefact
from tests.waiting import LIMIT_S, wait_until

pytestmark = pytest.mark.triton
CONFIGURATION = f"""\
[serve]
slots = 2
cache_bytes = 50_000_000
{ADDRESSES}
[[serve.model]]
name = "first"
[[serve.model]]
name = "second"
on_demand = true
[[serve.model]]
name = "third"
on_demand = true
keep_alive_s = 0
"""


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConfiguredBox]:
    root = tmp_path_factory.mktemp("box")
    for name in ("first", "second", "third"):
        make_tiny_artefact(root / "exports" / name / "cpu-balanced", root / f"scratch-{name}", name)
    with ConfiguredBox(root, CONFIGURATION) as running:
        yield running


def order(box: ConfiguredBox, verb: str, name: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    code = run(["--root", str(box.root), "model", verb, name, "--json"])
    said = capsys.readouterr()
    return code, json.loads(said.out or said.err)


def complete(box: ConfiguredBox, model: str, **more: Any) -> httpx.Response:
    body = {"model": model, "prompt": "Once", "max_tokens": 3, "ignore_eos": True, **more}
    return httpx.post(f"{box.state.url}/v1/completions", json=body, timeout=LIMIT_S)


def loaded(box: ConfiguredBox) -> set[str]:
    triton = box.state.triton_pid
    assert triton
    return set(model_processes(triton))


def test_a_request_loads_its_model_while_another_answers_on(box: ConfiguredBox, capsys: pytest.CaptureFixture[str]):
    # Other tests may have loaded it.
    assert order(box, "unload", "second", capsys)[0] == 0
    wait_until(lambda: "second" not in loaded(box))
    long = {"max_tokens": 400, "stream": True}
    with concurrent.futures.ThreadPoolExecutor() as pool:
        stream = pool.submit(complete, box, "first", **long)
        answers = list(pool.map(lambda _: complete(box, "second"), range(3)))
        assert [answer.json()["model"] for answer in answers] == ["second"] * 3
        assert stream.result().text.endswith("[DONE]\n\n")
    assert "second" in loaded(box)
    status = look(Layout(box.root, box.root / "cache"))
    assert status is not None
    assert status.healthy


def test_an_idle_model_leaves_and_comes_back(box: ConfiguredBox):
    for _ in range(2):
        assert complete(box, "third").json()["model"] == "third"
        wait_until(lambda: "third" not in loaded(box))
    assert "first" in loaded(box)
    assert box.state.triton_restarts == 0


def test_the_operator_unloads_and_loads(box: ConfiguredBox, capsys: pytest.CaptureFixture[str]):
    assert order(box, "unload", "first", capsys) == (0, {"model": "first", "state": "unloaded"})
    refused = complete(box, "first")
    assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
    assert "operator" in refused.json()["error"]["message"]
    assert complete(box, "second").status_code == 200
    wait_until(lambda: "first" not in loaded(box))
    assert order(box, "load", "first", capsys) == (0, {"model": "first", "state": "loaded"})
    assert complete(box, "first").status_code == 200
    assert box.state.triton_restarts == 0


def test_a_damaged_model_is_named_and_takes_nothing_down(box: ConfiguredBox, capsys: pytest.CaptureFixture[str]):
    assert order(box, "unload", "second", capsys)[0] == 0
    wait_until(lambda: "second" not in loaded(box))
    (file,) = (box.root / "exports" / "second").glob("*/tokenizer.json")
    content = file.read_bytes()
    file.chmod(0o600)
    file.write_bytes(content + b" ")
    code, said = order(box, "load", "second", capsys)
    assert code == IntegrityError.exit_code
    assert "tokenizer.json" in said["message"]
    refused = complete(box, "second")
    assert refused.status_code == 503
    assert "tokenizer.json" not in refused.text
    assert complete(box, "first").status_code == 200
    file.write_bytes(content)
    assert order(box, "load", "second", capsys)[0] == 0
    assert complete(box, "second").status_code == 200


def test_an_order_for_a_model_of_no_set_is_refused(box: ConfiguredBox, capsys: pytest.CaptureFixture[str]):
    code, said = order(box, "load", "fourth", capsys)
    assert code == UnknownModelError.exit_code
    assert "fourth" in said["message"]


def test_a_request_that_leaves_frees_its_place_while_its_model_loads(box: ConfiguredBox, capsys):
    assert order(box, "unload", "second", capsys)[0] == 0
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{box.state.url}/v1/completions", json={"model": "second", "prompt": "a"}, timeout=0.2)
    wait_until(lambda: "second" in loaded(box))
    assert complete(box, "second").status_code == 200
