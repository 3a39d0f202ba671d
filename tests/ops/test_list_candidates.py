"""ListCandidates against ONNX Runtime's TopK and numpy: ties, NaN, infinities, columns without meaning, any threads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from appliance.engine.candidates import Candidates
from appliance.engine.request import Request
from appliance.engine.sampler import SamplerState, choose
from appliance.inference.sampling import SamplingParams
from tests.engine.host_logits import HostLogits
from tests.ops.reference import Floats
from tests.ops.sessions import Node, session

NAMES = ["ids", "values", "normaliser"]


class ListedLogits(HostLogits):
    """Whole rows with the operator's lists."""

    def __init__(self, logits: Floats, listed: Candidates) -> None:
        super().__init__(logits.copy())
        self._listed = listed

    def candidates(self, indices: Sequence[int]) -> Candidates:
        rows, listed = list(indices), self._listed
        return Candidates(listed.logits[rows], listed.ids[rows], listed.log_normaliser[rows], listed.tokens)


def node(tokens: int, count: int) -> Node:
    return Node("ListCandidates", ["logits"], NAMES, {"tokens": tokens, "count": count}, {})


def candidates(logits: Floats, tokens: int, count: int, library: str, *, threads: int = 1) -> Candidates:
    made = session(node(tokens, count), {"logits": logits}, library, threads=threads)
    ids, values, normaliser = made.run(NAMES, {"logits": logits})
    return Candidates(values, ids, normaliser, tokens)


def likeliest(logits: Floats, count: int) -> NDArray[np.int64]:
    """The ids that ONNX Runtime's TopK takes; of equal logits it takes the lower ids first."""
    top = Node("TopK", ["x", "k"], ["values", "ids"], {}, {"k": np.array([count], np.int64)}, domain="")
    ids: NDArray[np.int64] = session(top, {"x": logits}, None).run(["ids"], {"x": logits})[0]
    return ids


def normalisers(logits: Floats) -> NDArray[np.float64]:
    exact = logits.astype(np.float64)
    top = exact.max(axis=1)
    result: NDArray[np.float64] = np.log(np.exp(exact - top[:, None]).sum(axis=1)) + top
    return result


def normal(rows: int, columns: int, scale: float = 3.0) -> Floats:
    return (np.random.default_rng(columns).standard_normal((rows, columns)) * scale).astype(np.float32)


@pytest.mark.parametrize("scale", [0.0, 3.0, 100.0])
@pytest.mark.parametrize(
    ("columns", "tokens", "count"),
    [(1, 1, 1), (70, 70, 64), (70, 33, 33), (64, 64, 3), (8192, 8192, 64), (8200, 8193, 64), (40_000, 39_999, 64)],
)
def test_the_likeliest_tokens_and_the_normaliser(ops_library: str, columns: int, tokens: int, count: int, scale: float):
    for rows in (1, 5):
        logits = normal(rows, columns, scale)
        logits[:, tokens:] = 1e9
        listed = candidates(logits, tokens, count, ops_library)
        known = logits[:, :tokens]
        assert (listed.ids == likeliest(known, count)).all()
        assert (listed.logits == np.take_along_axis(known, listed.ids, 1)).all()
        assert listed.log_normaliser == pytest.approx(normalisers(known), rel=1e-6, abs=1e-5)


def test_of_equal_logits_the_lower_ids_come_first(ops_library: str):
    logits = np.round(normal(4, 20_000))
    logits[0, ::2] = -0.0
    logits[0, 1::2] = 0.0
    listed = candidates(logits, 20_000, 64, ops_library)
    assert (listed.ids[0] == np.arange(64)).all()
    assert (listed.ids == likeliest(logits, 64)).all()


@pytest.mark.parametrize("strange", [np.nan, np.inf])
def test_a_row_with_nan_or_infinity_has_no_normaliser_and_no_other_row_changes(ops_library: str, strange: float):
    logits = normal(3, 20_000)
    clean = candidates(logits, 20_000, 64, ops_library)
    logits[1, 9000] = strange
    listed = candidates(logits, 20_000, 64, ops_library)
    assert listed.usable() == [True, False, True]
    assert (listed.ids[[0, 2]] == clean.ids[[0, 2]]).all()
    assert (listed.log_normaliser[[0, 2]] == clean.log_normaliser[[0, 2]]).all()


def test_tokens_that_are_impossible_count_as_nothing(ops_library: str):
    logits = normal(3, 20_000)
    logits[1, :9000] = -np.inf
    logits[2] = -np.inf
    listed = candidates(logits, 20_000, 64, ops_library)
    assert listed.usable() == [True, True, False]
    assert listed.log_normaliser[1] == pytest.approx(normalisers(logits[1:2, 9000:])[0], rel=1e-6)
    assert (listed.ids[1] == likeliest(logits, 64)[1]).all()


def test_a_row_has_the_same_bits_in_any_batch_and_with_any_threads(ops_library: str):
    logits = normal(9, 50_000)
    expected = candidates(logits, 50_000, 64, ops_library)
    for threads in range(1, 9):
        made = session(node(50_000, 64), {"logits": logits}, ops_library, threads=threads)
        for start, end in ((0, 9), (0, 1), (3, 4), (4, 9)):
            ids, values, normaliser = made.run(NAMES, {"logits": logits[start:end]})
            assert (ids == expected.ids[start:end]).all()
            assert (values == expected.logits[start:end]).all()
            assert (normaliser == expected.log_normaliser[start:end]).all()


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0.0},
        {"temperature": 0.0, "logprobs": 20},
        {"temperature": 1.0},
        {"temperature": 0.7, "top_p": 0.8, "top_k": 20},
        {"temperature": 1.3, "top_p": 0.9},
        {"temperature": 0.3, "top_p": 0.95, "logprobs": 5},
        {"temperature": 1.0, "min_p": 0.05},
        {"temperature": 0.0, "repetition_penalty": 1.3},
        {"temperature": 0.8, "presence_penalty": 0.7, "frequency_penalty": 0.2},
    ],
)
@pytest.mark.parametrize("step", [None, 0.25])
def test_each_request_gets_the_token_of_the_whole_row(ops_library: str, options: dict[str, float], step: float | None):
    logits = normal(30, 30_000)
    logits[:, 100:140] += np.linspace(16, 4, 40, dtype=np.float32)
    if step is not None:
        logits = (np.round(logits / step) * step).astype(np.float32)
    rows = range(len(logits))
    states = [
        [SamplerState(Request("x", (1, 101), SamplingParams(seed=row, **options)), (0,)) for row in rows]
        for _ in range(2)
    ]
    listed = candidates(logits, 30_000, 64, ops_library)
    mine = choose(ListedLogits(logits, listed), rows, states[0], 30_000)
    theirs = choose(HostLogits(logits.copy()), rows, states[1], 30_000)
    assert [choice.token for choice in mine] == [choice.token for choice in theirs]
    for one, other in zip(mine, theirs, strict=True):
        if other.logprob is not None:
            assert one.logprob is not None
            assert one.logprob.logprob == pytest.approx(other.logprob.logprob, abs=1e-4)
            assert [token for token, _ in one.logprob.top] == [token for token, _ in other.logprob.top]


def test_no_rows_give_no_candidates(ops_library: str):
    listed = candidates(np.zeros((0, 100), np.float32), 100, 5, ops_library)
    assert (listed.ids.shape, listed.logits.shape, listed.log_normaliser.shape) == ((0, 5), (0, 5), (0,))
