"""The sampler against slow, plain references: distributions, penalties, bias, seeds and log-probabilities."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.engine.request import Request
from appliance.engine.sampler import SamplerState, likeliest
from appliance.engine.sampler import choose as choose_from
from appliance.errors import RequestError
from appliance.inference.sampling import MAX_LOGPROB_TOKENS, SamplingParams
from tests.engine.host_logits import HostLogits

SIZE = 1000


def state(prompt=(1,), ends=(0,), **options):
    return SamplerState(Request("x", tuple(prompt), SamplingParams(**options)), ends)


def logits(seed=0, size=SIZE, scale=3.0):
    return (np.random.default_rng(seed).standard_normal(size) * scale).astype(np.float32)


def choose(rows, samplers):
    return choose_from(HostLogits(rows), range(len(rows)), samplers, rows.shape[1])


def pick(row, sampler):
    (choice,) = choose(row.copy()[None], [sampler])
    return choice


def draws(row, count=4000, **options):
    sampler = state(seed=7, **options)
    return Counter(pick(row, sampler).token for _ in range(count))


def reference(row, *, temperature=1.0, top_k=0, top_p=1.0, min_p=0.0):
    """Probabilities after min_p, top_k and top_p in vLLM's order, by sorting everything."""
    p = np.exp((row - row.max()) / temperature, dtype=np.float64)
    p /= p.sum()
    p[p < min_p * p.max()] = 0.0
    order = np.argsort(-p, kind="stable")
    if top_k:
        p[order[top_k:]] = 0.0
    p /= p.sum()
    if top_p < 1.0:
        before = np.cumsum(p[order]) - p[order]
        p[order[before >= top_p]] = 0.0
    return p / p.sum()


def total_variation(counts, probabilities):
    n = sum(counts.values())
    seen = np.zeros_like(probabilities)
    for token, count in counts.items():
        seen[token] = count / n
    return 0.5 * np.abs(seen - probabilities).sum()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"temperature": 0.5},
        {"temperature": 2.0, "top_k": 5},
        {"top_k": 50},
        {"top_p": 0.7},
        {"top_p": 0.1},
        {"min_p": 0.2},
        {"min_p": 0.05, "top_k": 20, "top_p": 0.8, "temperature": 1.5},
    ],
)
def test_draws_follow_the_truncated_distribution(options):
    row = logits(scale=4.0)
    probabilities = reference(row, **options)
    counts = draws(row, **options)
    assert all(probabilities[token] > 0 for token in counts)
    assert total_variation(counts, probabilities) < 0.08


def test_a_flat_distribution_reaches_every_token_that_is_kept():
    row = np.zeros(70, np.float32)
    assert set(draws(row)) == set(range(70))
    assert set(draws(row, top_p=0.999)) == set(range(70))
    assert set(draws(row, top_p=0.95)) == set(range(67))


@pytest.mark.parametrize("options", [{"temperature": 0.0}, {"top_k": 1}, {"temperature": 1e-9}, {"top_p": 1e-9}])
def test_settings_that_leave_one_token_take_the_likeliest(options):
    row = logits()
    assert set(draws(row, 20, **options)) == {int(row.argmax())}


def test_a_batch_of_greedy_rows_takes_each_row_s_likeliest():
    rows = np.stack([logits(seed) for seed in range(5)])
    tokens = [choice.token for choice in choose(rows.copy(), [state(temperature=0.0)] * 5)]
    assert tokens == rows.argmax(axis=1).tolist()


def test_a_seed_gives_the_same_tokens_whatever_else_is_in_the_batch():
    rows = [logits(seed) for seed in range(20)]
    lone = state(seed=5)
    alone = [pick(row, lone).token for row in rows]
    among, other = state(seed=5), state(seed=6)
    batched = [choose(np.stack([logits(99), row]), [other, among])[1].token for row in rows]
    assert batched == alone


def test_seeds_differ_and_no_seed_is_fresh_each_time():
    row = logits(scale=0.5)
    runs = [
        [pick(row, sampler).token for _ in range(12)] for sampler in (state(seed=1), state(seed=2), state(), state())
    ]
    assert len({tuple(run) for run in runs}) == 4


@pytest.mark.parametrize("seed", [-1, 0, 2**63, -(2**63), 2**64 - 1])
def test_any_integer_of_64_bits_is_a_seed(seed):
    row = logits()
    assert pick(row, state(seed=seed)).token == pick(row, state(seed=seed)).token


def test_repetition_penalty_weakens_tokens_of_prompt_and_completion_whatever_their_sign():
    row = np.array([4.0, 3.9, -1.0, 3.0], np.float32)
    sampler = state(prompt=(0,), ends=(), temperature=0.0, repetition_penalty=2.0)
    assert pick(row, sampler).token == 1
    sampler.accept(1)
    assert pick(row, sampler).token == 3
    negative = np.array([-1.0, -1.5], np.float32)
    assert pick(negative, state(prompt=(0,), ends=(), temperature=0.0, repetition_penalty=2.0)).token == 1


def test_presence_penalty_counts_once_and_looks_at_the_completion_alone():
    row = np.array([2.0, 1.5, 0.0], np.float32)
    sampler = state(prompt=(0,), ends=(), temperature=0.0, presence_penalty=0.4)
    for _ in range(3):
        assert pick(row, sampler).token == 0
        sampler.accept(0)
    assert pick(np.array([2.0, 1.61, 0.0], np.float32), sampler).token == 1


def test_frequency_penalty_counts_every_occurrence():
    row = np.array([2.0, 1.5, 0.0], np.float32)
    sampler = state(ends=(), temperature=0.0, frequency_penalty=0.3)
    tokens = []
    for _ in range(4):
        tokens.append(pick(row, sampler).token)
        sampler.accept(tokens[-1])
    assert tokens == [0, 0, 1, 0]


def test_logit_bias_forces_and_forbids():
    row = logits()
    assert pick(row, state(temperature=0.0, logit_bias={17: 100.0})).token == 17
    best = int(row.argmax())
    assert pick(row, state(temperature=0.0, logit_bias={best: -100.0})).token != best


def test_end_tokens_are_held_back_until_min_tokens():
    row = np.array([9.0, 1.0, 8.0], np.float32)
    sampler = state(ends=(0,), temperature=0.0, min_tokens=2, stop_token_ids=(2,))
    for expected in (1, 1, 0):
        assert pick(row, sampler).token == expected
        sampler.accept(expected)


def test_logprobs_are_of_the_raw_logits_with_the_likeliest_alternatives():
    row = logits()
    exact = row.astype(np.float64) - np.log(np.exp(row.astype(np.float64)).sum())
    choice = pick(row, state(temperature=0.0, logprobs=5, logit_bias={17: 100.0}))
    order = np.argsort(-row)[:5]
    assert choice.logprob.token_id == choice.token == 17
    assert choice.logprob.logprob == pytest.approx(exact[17], abs=1e-4)
    assert [token for token, _ in choice.logprob.top] == order.tolist()
    assert [value for _, value in choice.logprob.top] == pytest.approx(exact[order].tolist(), abs=1e-4)


def test_logprobs_of_zero_give_the_chosen_token_alone():
    choice = pick(logits(), state(logprobs=0))
    assert choice.logprob.top == ()
    assert choice.logprob.logprob < 0


@pytest.mark.parametrize("options", [{"temperature": 0.0}, {"temperature": 1.0}, {"temperature": 0.0, "logprobs": 1}])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_row_without_a_usable_number_gives_no_token(options, bad):
    row = logits()
    if bad == -np.inf:
        row[:] = bad
    else:
        row[500] = bad
    assert pick(row, state(**options)).token is None


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(1, 3000),
    count=st.integers(1, 400),
    levels=st.sampled_from([3, 50, 10**6]),
    seed=st.integers(0, 99),
)
def test_the_likeliest_are_those_that_sorting_everything_finds(size, count, levels, seed):
    row = np.random.default_rng(seed).integers(0, levels, size).astype(np.float32)
    count = min(count, size)
    assert likeliest(row, count).tolist() == np.argsort(-row, kind="stable")[:count].tolist()


@pytest.mark.parametrize("options", [{"temperature": 0.0}, {"seed": 3}, {"logit_bias": {4: 9.0}}])
def test_figures_of_certain_tokens_are_those_of_the_raw_logits(options):
    row = logits()
    expected = row - row.max() - np.log(np.exp(row - row.max()).sum(dtype=np.float64))
    wanted = (9, 4, 700, 4)
    choice = pick(row, state(logprobs=0, logprob_token_ids=wanted, max_tokens=1, **options))
    found = dict(choice.logprob.top)
    assert set(found) == set(wanted)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    for token, logprob in found.items():
        assert logprob == pytest.approx(float(expected[token]), abs=1e-5)
    assert choice.logprob.logprob == pytest.approx(float(expected[choice.token]), abs=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"max_tokens": 1},
        {"logprobs": 0},
        {"logprobs": 0, "max_tokens": 2},
        {"logprobs": 0, "max_tokens": 1, "logprob_token_ids": (-1,)},
        {"logprobs": 0, "max_tokens": 1, "logprob_token_ids": (1,) * (MAX_LOGPROB_TOKENS + 1)},
    ],
)
def test_figures_of_certain_tokens_belong_to_one_token_with_figures(options):
    with pytest.raises(RequestError) as caught:
        SamplingParams(**{"logprob_token_ids": (1,), **options})
    assert caught.value.param == "logprob_token_ids"
