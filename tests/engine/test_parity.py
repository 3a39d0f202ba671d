"""A plan that answers like the reference passes; one that is wrong in any way that a plan can be is refused."""

import dataclasses
import json

import numpy as np
import pytest

from appliance.engine.parity import (
    LEAST_ALLOWED_KL,
    ParityCase,
    allowed_kl,
    answers,
    compare,
    from_bytes,
    to_bytes,
)
from appliance.engine.trt_runner import TrtRunner
from appliance.errors import IntegrityError, QualityError
from tests.engine.device_on_host import open_executor, plan, tiny_graph

TOKENS = 40
PROMPTS = (3, 8, 21, 37)
FURTHER = 4
# A tiny model with random weights likes all tokens nearly alike; its logits are stretched to a real one's range.
SHARP = np.float32(20)


def rows_of(seed, rows=3):
    return 4 * np.random.default_rng(seed).standard_normal((rows, TOKENS + 8)).astype(np.float32)


def case_of(logits, tokens=(1, 2, 3, 4), prompt=2, count=16, entries=TOKENS):
    """The case of which these logits are the reference."""
    shifted = logits[:, :entries].astype(np.float64)
    exact = shifted - np.log(np.exp(shifted - shifted.max()).sum(axis=1, keepdims=True)) - shifted.max()
    likeliest = np.argsort(-exact, axis=1)[:, :count]
    return ParityCase(tokens, prompt, likeliest, np.take_along_axis(exact, likeliest, axis=1).astype(np.float32))


def test_equal_answers_have_no_divergence():
    logits = rows_of(1)
    parity = compare([case_of(logits)], [logits + 5], TOKENS)
    assert parity.mean_kl == pytest.approx(0, abs=1e-6)
    assert (parity.top1_agreement, parity.rows) == (1.0, 3)
    parity.check(LEAST_ALLOWED_KL)


def test_the_divergence_is_at_most_the_whole_one_and_no_less_than_half_of_it():
    logits = rows_of(1, rows=50)
    off = logits + np.random.default_rng(2).normal(0, 0.05, logits.shape).astype(np.float32)
    p, q = (np.exp(rows[:, :TOKENS].astype(np.float64)) for rows in (logits, off))
    p, q = p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True)
    whole = (p * np.log(p / q)).sum(axis=1).mean()
    parity = compare([case_of(logits)], [off], TOKENS)
    assert whole / 2 < parity.mean_kl <= whole + 1e-6
    assert parity.worst_kl > parity.mean_kl
    parity.check(LEAST_ALLOWED_KL)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda logits: rows_of(9, rows=len(logits)),
        lambda logits: np.roll(logits, 1, axis=0),
        lambda logits: 0 * logits,
        lambda logits: np.where(np.arange(logits.shape[1]) == 4, np.nan, logits),
        lambda logits: np.full_like(logits, np.nan),
        lambda logits: np.full_like(logits, np.inf),
        lambda logits: np.full_like(logits, -np.inf),
    ],
)
def test_garbage_is_refused(wrong):
    logits = rows_of(1)
    with pytest.raises(QualityError, match="differs from the model: its mean KL divergence from the reference"):
        compare([case_of(logits)], [wrong(logits)], TOKENS).check(LEAST_ALLOWED_KL)


def test_one_wrong_row_of_many_is_enough():
    logits = rows_of(1, rows=50)
    off = logits.copy()
    off[17] = -off[17]
    with pytest.raises(QualityError, match="over 50 rows"):
        compare([case_of(logits)], [off], TOKENS).check(LEAST_ALLOWED_KL)


@pytest.mark.parametrize(("preset", "allowed"), [(0.0, 0.02), (0.01, 0.02), (0.15, 0.3)])
def test_what_is_allowed_follows_what_the_preset_promises(preset, allowed):
    assert allowed_kl(preset) == allowed


def test_cases_come_back_from_their_bytes():
    case = case_of(rows_of(1))
    (again,) = from_bytes(to_bytes([case]))
    assert (again.tokens, again.prompt_tokens) == (case.tokens, case.prompt_tokens)
    assert np.array_equal(again.likeliest, case.likeliest)
    np.testing.assert_allclose(again.log_probabilities, case.log_probabilities, atol=1e-5)


def broken(**changes):
    document = json.loads(to_bytes([case_of(rows_of(1))]))
    document["cases"][0].update(changes)
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"format":2,"cases":[]}',
        b'{"format":1,"cases":[]}',
        broken(prompt_tokens=0),
        broken(prompt_tokens=3),
        broken(tokens=[1, 2]),
        broken(likeliest=[[1], [2], [3]]),
        broken(log_probabilities=[["x"]]),
    ],
)
def test_bytes_of_another_form_are_refused(content):
    with pytest.raises(IntegrityError, match=r"parity\.json"):
        from_bytes(content)


class Stretched:
    """A runner whose logits are those of a model that has preferences; decoding can be made wrong."""

    def __init__(self, runner, *, shift=0):
        self._runner = runner
        self._shift = shift

    def prefill(self, slot, start, tokens):
        self._logits = self._runner.prefill(slot, start, tokens)
        return self

    def decode(self, tokens, lengths):
        self._logits = self._runner.decode(tokens, [length + self._shift for length in lengths])
        return self

    def rows(self, indices):
        return self._logits.rows(indices) * SHARP


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    return tiny_graph(tmp_path_factory.mktemp("qwen2"), "qwen2")


def stretched(graph, **faults):
    path, shape = graph
    executor = open_executor(plan(path, capacity=128), shape, 4)
    return Stretched(TrtRunner(executor, shape, slots=4, running=4, capacity=64), **faults)


@pytest.fixture(scope="module")
def cases(graph):
    """What the graph itself says of some texts, each read in one prompt after the other."""
    made = []
    for seed, prompt in enumerate(PROMPTS):
        tokens = tuple(np.random.default_rng(seed).integers(0, 250, prompt + FURTHER).tolist())
        runner = stretched(graph)
        ends = range(prompt, prompt + FURTHER + 1)
        logits = np.concatenate([runner.prefill(0, 0, tokens[:end]).rows([0]) for end in ends])
        made.append(case_of(logits, tokens, prompt, entries=graph[1].tokens))
    return made


def test_a_runner_that_computes_the_graph_passes(graph, cases):
    found = answers(stretched(graph), cases)
    assert [rows.shape for rows in found] == [(FURTHER + 1, graph[1].vocabulary)] * len(PROMPTS)
    parity = compare(cases, found, graph[1].tokens)
    assert parity.rows == len(PROMPTS) * (FURTHER + 1)
    assert parity.mean_kl < 1e-5


@pytest.mark.parametrize("shift", [-1, 1])
def test_a_runner_that_decodes_at_a_wrong_row_is_refused(graph, cases, shift):
    found = answers(stretched(graph, shift=shift), cases)
    with pytest.raises(QualityError):
        compare(cases, found, graph[1].tokens).check(LEAST_ALLOWED_KL)


def test_a_case_that_is_another_models_is_refused(graph, cases):
    others = [dataclasses.replace(case, likeliest=(case.likeliest + 1) % graph[1].tokens) for case in cases]
    with pytest.raises(QualityError):
        compare(others, answers(stretched(graph), cases), graph[1].tokens).check(LEAST_ALLOWED_KL)
