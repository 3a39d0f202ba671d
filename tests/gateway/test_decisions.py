"""Decisions through a real Triton, as OpenAI's client asks for them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from tests.configuration.test_engine_keys import ADDRESSES, ConfiguredBox
from tests.tiny_artefact import make_tiny_artefact
from tests.tiny_embedder import make_tiny_embedder
from tests.waiting import LIMIT_S

pytestmark = pytest.mark.triton
MODEL, EMBEDDER = "tiny-instruct", "tiny-embedder"
CONFIGURATION = f"""\
[serve]
slots = 2
cache_bytes = 50_000_000
{ADDRESSES}
[[serve.model]]
name = "{MODEL}"
[[serve.model]]
name = "{EMBEDDER}"
"""
PREDICATE = {"type": "predicate", "name": "hot", "instructions": "The pump is hot."}
CHOICE = {
    "type": "choice",
    "instructions": "Which part?",
    "choices": [{"value": "pump", "description": "moves water"}, {"value": "true"}, {"value": True}],
}
SCORE = {"type": "score", "name": "s", "instructions": "How bad?", "levels": [{"label": "low"}, {"label": "high"}]}


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConfiguredBox]:
    root = tmp_path_factory.mktemp("box")
    make_tiny_artefact(root / "exports" / MODEL / "cpu-balanced", root / "scratch")
    make_tiny_embedder(root / "exports" / EMBEDDER / "cpu-float32")
    with ConfiguredBox(root, CONFIGURATION) as running:
        yield running


@pytest.fixture
def client(box: ConfiguredBox) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{box.state.url}/v1", api_key="unused", max_retries=0, timeout=LIMIT_S) as client:
        yield client


def decide(client: openai.OpenAI, *questions: Any, given: Any = "The pump is at 90 °C.") -> Any:
    return client.decisions.create(model=MODEL, input=given, questions=questions)


def label_masses(box: ConfiguredBox, text: str, names: list[str]) -> list[float]:
    """The probability of each label after the prompt, from the log-probabilities of the prompt itself."""

    def ask(path: str, **body: Any) -> Any:
        answer = httpx.post(f"{box.state.url}/v1/{path}", json={"model": MODEL, **body}, timeout=LIMIT_S)
        assert answer.status_code == 200, answer.text
        return answer.json()

    prompt = ask("tokenize", messages=[{"role": "user", "content": text}])["tokens"]
    masses = []
    for name in names:
        (token,) = ask("tokenize", prompt=name, add_special_tokens=False)["tokens"]
        answer = ask("completions", prompt=[*prompt, token], max_tokens=0, prompt_logprobs=0)
        (figures,) = answer["choices"][0]["prompt_logprobs"][-1].values()
        masses.append(math.exp(figures["logprob"]))
    return masses


def test_each_question_has_its_answer_in_order(client: openai.OpenAI):
    answer = decide(client, PREDICATE, CHOICE, SCORE)
    hot, part, bad = answer.answers
    assert (answer.model, [one.type for one in answer.answers]) == (MODEL, ["predicate", "choice", "score"])
    assert [one.name for one in answer.answers] == ["hot", None, "s"]
    assert 0 < hot.probability < 1
    assert [one.value for one in part.probabilities] == ["pump", "true", True]
    assert sum(one.probability for one in part.probabilities) == pytest.approx(1)
    best = max(part.probabilities, key=lambda one: one.probability)
    assert (part.choice, part.confidence) == (best.value, best.probability)
    assert [(one.label, one.value) for one in bad.probabilities] == [("low", 0), ("high", 1)]
    assert bad.score == pytest.approx(bad.probabilities[1].probability)
    assert all(0 < one.label_mass < 1 for one in answer.answers)
    assert answer.usage.output_tokens == 3
    assert answer.usage.total_tokens == answer.usage.input_tokens + 3


def test_the_probabilities_are_those_of_the_next_token(client: openai.OpenAI, box: ConfiguredBox):
    (answer,) = decide(client, CHOICE, given="hot").answers
    text = (
        "Read this input.\n\n<input>\nhot\n</input>\n\nWhich part?\n\nOptions:\nA: pump (moves water)\nB: true\n"
        "C: true\n\nAnswer only with the letter of one option."
    )
    masses = label_masses(box, text, ["A", "B", "C"])
    assert answer.label_mass == pytest.approx(sum(masses), rel=1e-3)
    shares = [mass / sum(masses) for mass in masses]
    assert [one.probability for one in answer.probabilities] == pytest.approx(shares, rel=1e-3)


def test_a_question_has_the_same_answer_among_others(client: openai.OpenAI):
    (alone,) = decide(client, CHOICE).answers
    among = decide(client, SCORE, PREDICATE, CHOICE).answers[2]
    expected = [one.probability for one in alone.probabilities]
    assert [one.probability for one in among.probabilities] == pytest.approx(expected, rel=1e-4)


def test_a_conversation_is_judged_as_one_text(client: openai.OpenAI):
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_json", "data": {"b": [1]}}]},
        {"role": "assistant", "content": [{"type": "output_text", "text": "c"}]},
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "d"},
    ]
    written = 'user: a\n{"b":[1]}\n\nassistant: c\n\ncall 1 of f: {}\n\nresult of call 1: d'
    (of_items,), (of_text,) = (decide(client, PREDICATE, given=one).answers for one in (items, written))
    assert of_items.probability == pytest.approx(of_text.probability, rel=1e-4)
    (of_message,), (of_text,) = (
        decide(client, PREDICATE, given=one).answers for one in ([{"role": "user", "content": "a"}], "a")
    )
    assert of_message.probability == pytest.approx(of_text.probability, rel=1e-4)


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": " "}, "input"),
        ({"input": []}, "input"),
        ({"input": "a " * 1_000_000}, "input"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "data:"}]}]}, "input"),
        ({"questions": []}, "questions"),
        ({"questions": [PREDICATE] * 129}, "questions"),
        ({"questions": [{**PREDICATE, "instructions": ""}]}, "questions[0].instructions"),
        ({"questions": [PREDICATE, {**CHOICE, "choices": CHOICE["choices"][:1]}]}, "questions[1]"),
        ({"questions": [{**CHOICE, "choices": [{"value": "a"}, {"value": "a"}]}]}, "questions[0].choices"),
        ({"questions": [{**CHOICE, "choices": [{"value": str(each)} for each in range(30)]}]}, "questions[0]"),
        ({"questions": [{**CHOICE, "choices": [{"value": 1}, {"value": 2}]}]}, "questions[0]"),
        ({"questions": [{**SCORE, "levels": [{"label": "a"}] * 11}]}, "questions[0].levels"),
        ({"questions": [{"type": "essay", "instructions": "a"}]}, "questions[0]"),
        ({"input": "a " * 5_000, "questions": [PREDICATE] * 40}, "questions"),
        ({"model": EMBEDDER}, "model"),
    ],
)
def test_what_the_box_cannot_decide_is_refused_by_name(box: ConfiguredBox, asked: dict[str, Any], param: str):
    body = {"model": MODEL, "input": "a", "questions": [PREDICATE], **asked}
    answer = httpx.post(f"{box.state.url}/v1/decisions", json=body, timeout=LIMIT_S)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"].startswith(param), answer.text


def test_hints_are_named_and_have_no_effect(box: ConfiguredBox):
    body = {"model": MODEL, "input": "a", "questions": [PREDICATE], "prompt_cache_key": "k", "safety_identifier": "u"}
    answer = httpx.post(f"{box.state.url}/decisions", json=body, timeout=LIMIT_S)
    assert answer.status_code == 200
    assert set(answer.headers["appliance-ignored-parameters"].split(", ")) == {"prompt_cache_key", "safety_identifier"}
