"""What is chosen from a device's candidates is what the whole row gives, and whole rows are fetched for the rest."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.engine.candidates import Candidates
from appliance.engine.request import Request
from appliance.engine.sampler import SamplerState, choose
from appliance.inference.sampling import SamplingParams
from appliance.inference.structured_output import StructuredOutput
from tests.engine.host_logits import HostLogits
from tests.engine.toy import GRAMMARS

LISTED = 64


class DeviceLogits(HostLogits):
    """Logits of which a device listed the likeliest; it keeps which whole rows were asked for."""

    def __init__(self, array, tokens, listed=LISTED, order=None):
        super().__init__(array)
        self.fetched = []
        known = array[:, :tokens].astype(np.float64)
        # Of equal logits a device may list any, in any order.
        tie = np.random.default_rng(order).permutation(tokens) if order is not None else np.arange(tokens)
        ids = np.stack([np.lexsort((tie, -row)) for row in known])[:, :listed]
        top = known.max(axis=1)
        with np.errstate(invalid="ignore"):
            normaliser = np.log(np.exp(known - top[:, None]).sum(axis=1)) + top
        self._listed = Candidates(np.take_along_axis(array, ids, axis=1), ids, normaliser.astype(np.float32), tokens)

    def rows(self, indices):
        self.fetched.extend(indices)
        return super().rows(list(indices)).copy()

    def candidates(self, indices):
        rows, of = list(indices), self._listed
        return Candidates(of.logits[rows], of.ids[rows], of.log_normaliser[rows], of.tokens)


def state(matcher=None, **options):
    return SamplerState(Request("x", (1, 2), SamplingParams(**options)), (0,), matcher)


def normal(rows=1, size=2000, scale=3.0, seed=0):
    return (np.random.default_rng(seed).standard_normal((rows, size)) * scale).astype(np.float32)


def both(array, tokens, order=None, **options):
    """The choices from the device's logits and from whole rows, and the rows that the former fetched."""
    rows = range(len(array))
    device = DeviceLogits(array, tokens, order=order)
    mine = choose(device, rows, [state(**options) for _ in rows], tokens)
    theirs = choose(HostLogits(array.copy()), rows, [state(**options) for _ in rows], tokens)
    return mine, theirs, device.fetched


def assert_alike(mine, theirs):
    assert [choice.token for choice in mine] == [choice.token for choice in theirs]
    for one, other in zip(mine, theirs, strict=True):
        if other.logprob is None:
            assert one.logprob is None
            continue
        assert one.logprob.logprob == pytest.approx(other.logprob.logprob, abs=1e-4)
        assert [token for token, _ in one.logprob.top] == [token for token, _ in other.logprob.top]
        values = [value for _, value in other.logprob.top]
        assert [value for _, value in one.logprob.top] == pytest.approx(values, abs=1e-4)


@settings(max_examples=400, deadline=None)
@given(
    size=st.sampled_from([3, 63, 64, 65, 100, 1000, 20000]),
    beyond=st.integers(0, 5),
    scale=st.sampled_from([0.0, 0.5, 3.0, 10.0, 40.0]),
    steps=st.sampled_from([None, 0.125, 2.0]),
    seed=st.integers(0, 10**6),
    temperature=st.sampled_from([0.0, 1e-3, 0.3, 0.7, 1.0, 1.3, 5.0]),
    top_k=st.sampled_from([0, 0, 1, 5, 20, 63, 64, 65]),
    top_p=st.sampled_from([1.0, 0.999, 0.95, 0.8, 0.3, 1e-6]),
    min_p=st.sampled_from([0.0, 0.0, 1e-4, 0.05, 0.5, 1.0]),
    logprobs=st.sampled_from([None, None, 0, 5, 20]),
)
def test_any_request_gets_the_token_of_the_whole_row(
    size, beyond, scale, steps, seed, temperature, top_k, top_p, min_p, logprobs
):
    array = normal(4, size + beyond, scale, seed)
    if steps is not None:
        # bf16 logits are equal often.
        array = (np.round(array / steps) * steps).astype(np.float32)
    array[:, size:] = 99.0
    sampling = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p, "logprobs": logprobs}
    mine, theirs, _ = both(array, size, order=seed, seed=seed, **sampling)
    assert_alike(mine, theirs)


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0.0},
        {"temperature": 0.0, "logprobs": 20},
        {"top_k": 1},
        {"top_k": 20, "logprobs": 3},
        {"top_k": 20, "top_p": 0.8, "temperature": 0.7},
        {"top_k": 500, "min_p": 0.2},
        {"min_p": 0.1},
        {"top_p": 0.5},
        {"top_p": 0.9, "temperature": 0.3},
        {"top_p": 0.2, "temperature": 1.2},
    ],
)
def test_what_the_candidates_tell_fetches_no_row(options):
    array = normal(8, size=50_000, scale=0.5)
    # As models do: a few likely tokens and a long tail.
    array[:, 7:47] += np.linspace(16, 6, 40, dtype=np.float32)
    mine, theirs, fetched = both(array, 50_000, seed=3, **options)
    assert_alike(mine, theirs)
    assert fetched == []


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 1.0},
        {"temperature": 1.0, "top_k": 65},
        {"temperature": 1.0, "top_p": 0.999999},
        {"temperature": 8.0, "top_p": 0.5},
        {"temperature": 1.0, "min_p": 1e-9},
        {"temperature": 1.0, "top_k": 64, "top_p": 0.3},
        {"temperature": 1.0, "top_k": 200, "top_p": 0.3},
        {"temperature": 1.0, "min_p": 0.01, "top_p": 0.3},
        {"temperature": 0.0, "repetition_penalty": 1.5},
        {"temperature": 0.0, "presence_penalty": 0.5},
        {"temperature": 0.0, "logit_bias": {7: 50.0}},
        {"temperature": 0.0, "min_tokens": 3},
        {"temperature": 0.0, "matcher": GRAMMARS.matcher(StructuredOutput.from_mapping({"regex": "[a-f]+"}))},
    ],
)
def test_everything_else_looks_at_whole_rows_of_its_own_sequences_alone(options):
    array = normal(3, 256, scale=1.0)
    device = DeviceLogits(array.copy(), 256)
    plain = [state(temperature=0.0) for _ in range(2)]
    mine = choose(device, [2, 0, 1], [plain[0], state(seed=3, **options), plain[1]], 256)
    assert device.fetched == [0]
    alone = choose(HostLogits(array[:1].copy()), [0], [state(seed=3, **options)], 256)
    assert [choice.token for choice in mine] == [int(array[2].argmax()), alone[0].token, int(array[1].argmax())]


@pytest.mark.parametrize("options", [{"temperature": 0.0}, {"temperature": 0.0, "logprobs": 0}, {"top_k": 64}])
def test_where_the_last_candidate_may_have_equals_that_are_not_listed_the_whole_row_is_asked(options):
    mine, theirs, fetched = both(np.zeros((1, 200), np.float32), 200, order=5, seed=1, **options)
    assert_alike(mine, theirs)
    assert fetched == [0]


def test_a_seeded_sequence_draws_the_same_tokens_whichever_way_each_of_them_was_chosen():
    options = {"seed": 11, "top_p": 0.9}
    one, other = state(**options), state(**options)
    ways = set()
    for step in range(200):
        array = normal(1, 3000, scale=4.0 if step % 3 else 1.0, seed=step)
        device = DeviceLogits(array, 3000)
        (mine,) = choose(device, [0], [one], 3000)
        (theirs,) = choose(HostLogits(array.copy()), [0], [other], 3000)
        assert mine.token == theirs.token
        ways.add(bool(device.fetched))
    assert ways == {True, False}


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("options", [{"temperature": 0.0}, {"top_k": 5}])
def test_a_row_that_holds_no_number_gives_no_token(bad, options):
    array = normal(2, 500)
    array[1, 77] = bad
    mine, _, fetched = both(array, 500, seed=1, **options)
    assert mine[0].token is not None
    assert mine[1].token is None
    assert fetched == []
