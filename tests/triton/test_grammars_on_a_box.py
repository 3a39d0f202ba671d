"""Schemas that cost too much, sent to a real box: others are served meanwhile, and nothing of them is left."""

import json
import threading
import urllib.error
import urllib.request

import pytest

from tests.engine.test_grammar_client import MULTIPLE, NOISE
from tests.processes import forks
from tests.running_box import RunningBox
from tests.tiny_artefact import TINY
from tests.waiting import wait_until

pytestmark = pytest.mark.triton
# Only the compiler sees that a name can match both.
CANNOT_BE_HELD = {"type": "object", "patternProperties": {"^a": {"type": "integer"}, "a$": {"type": "string"}}}
REFUSALS = 20


@pytest.fixture
def box(tmp_path):
    with RunningBox(tmp_path / "root") as running:
        yield running


def ask(box, schema, timeout_s=600):
    """Ask for an answer that matches; returns the status and the body."""
    asked = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    body = {"model": TINY, "messages": [{"role": "user", "content": "x"}], "max_tokens": 4, "response_format": asked}
    request = urllib.request.Request(
        f"http://{box.state.http}/v1/chat/completions",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310 - it is our own box
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def grammars(box):
    """The processes of grammars, without their host."""
    return forks(box.process.pid, "appliance.engine.grammar_host")


def test_a_schema_that_is_not_compiled_in_its_budget_gets_a_400_and_others_are_served_meanwhile(box):
    answers = {}

    def attack(name, schema):
        answers[name] = ask(box, schema)

    bombs = {"patterns": NOISE, "multiple": MULTIPLE}
    threads = [threading.Thread(target=attack, args=item) for item in bombs.items()]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(grammars(box)) == len(bombs))
    with box.completion(max_tokens=16, ignore_eos=True) as plain:
        assert json.load(plain)["usage"]["completion_tokens"] == 16
    assert answers == {}
    for thread in threads:
        thread.join()
    for status, body in answers.values():
        assert status == 400
        assert "takes more than" in body
    assert ask(box, {"type": "boolean"})[0] == 200
    wait_until(lambda: not grammars(box))


def test_a_compile_ends_when_its_client_leaves(box):
    with pytest.raises(TimeoutError):
        ask(box, NOISE, timeout_s=1)
    wait_until(lambda: not grammars(box))
    assert ask(box, {"type": "boolean"})[0] == 200


def test_a_box_stops_after_many_refusals_as_after_none(box):
    for _ in range(REFUSALS):
        status, body = ask(box, CANNOT_BE_HELD)
        assert status == 400
        assert "cannot be enforced" in body
    box.process.terminate()
    box.process.wait()
    assert "Exit timeout expired" not in (box.root / "run" / "triton.log").read_text()
