"""The graph for TensorRT behind the runner: chunks, batches, moved slots and what was there before change no bit."""

import itertools

import numpy as np
import pytest

from appliance.engine.trt_executor import TrtExecutor
from appliance.engine.trt_runner import TrtRunner, _pieces
from appliance.errors import EngineError, UsageError
from tests.engine.device_on_host import open_executor, plan, tiny_graph

PLAN_CAPACITY = 264
CAPACITY = 256
SLOTS = 5


@pytest.fixture(scope="module", params=["qwen2", "qwen3"])
def graph(request, tmp_path_factory):
    return tiny_graph(tmp_path_factory.mktemp(request.param), request.param)


def executor_of(graph, kind=TrtExecutor, *, rows=PLAN_CAPACITY, batch=SLOTS, chunk=(1, 64)):
    """An executor of a plan whose slots have `rows` rows."""
    path, shape = graph
    return open_executor(plan(path, capacity=rows, batch=batch, chunk=chunk), shape, SLOTS, kind=kind)


def runner_of(graph, executor=None, *, capacity=CAPACITY, running=SLOTS, **limits):
    executor = executor or executor_of(graph, **limits)
    return TrtRunner(executor, graph[1], slots=SLOTS, running=running, capacity=capacity)


@pytest.fixture
def runner(graph):
    return runner_of(graph)


def prompt(length, seed=0):
    return np.random.default_rng(seed).integers(0, 250, length).tolist()


def row(logits, index=0):
    return logits.rows([index])[0]


def prefill(runner, slot, tokens, *edges):
    """Prefill in chunks that end at `edges`; return the last logits."""
    logits = None
    for start, end in itertools.pairwise([0, *edges, len(tokens)]):
        logits = runner.prefill(slot, start, tokens[start:end])
    return row(logits)


def greedy_alone(runner, tokens, count):
    """Greedy completion in slot 0, alone."""
    completion = [int(prefill(runner, 0, tokens).argmax())]
    for length in range(len(tokens), len(tokens) + count - 1):
        completion.append(int(row(runner.decode([completion[-1]], [length])).argmax()))
    return completion


@pytest.mark.parametrize("edges", [(8,), (64,), (24, 56, 80), (96,)])
def test_a_prompt_in_chunks_gives_the_very_logits_of_the_whole(runner, edges):
    tokens = prompt(101)
    whole = prefill(runner, 0, tokens)
    assert np.array_equal(prefill(runner, 1, tokens, *edges), whole)


def test_a_prompt_longer_than_the_plans_chunk_is_computed_in_pieces(graph):
    tokens = prompt(101)
    whole = prefill(runner_of(graph, chunk=(1, 128)), 0, tokens)
    pieces = runner_of(graph, chunk=(1, 16))
    assert pieces.lengths[-1] == 16
    np.testing.assert_allclose(prefill(pieces, 0, tokens), whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("rows", [2, 3, 4, 5])
def test_a_row_gives_the_very_logits_it_gives_alone_in_any_batch(runner, rows):
    prompts = [prompt(5 + 17 * i, seed=i) for i in range(rows)]
    alone = []
    for tokens in prompts:
        prefill(runner, 0, tokens)
        alone.append(row(runner.decode([7], [len(tokens)])))
    for slot, tokens in enumerate(prompts):
        prefill(runner, slot, tokens)
    together = runner.decode([7] * rows, [len(tokens) for tokens in prompts])
    for index, one in enumerate(alone):
        assert np.array_equal(row(together, index), one)


def test_moved_rows_go_on_as_if_they_had_not_moved(runner):
    first, second = prompt(40, seed=1), prompt(23, seed=2)
    expected = [greedy_alone(runner, tokens, 6) for tokens in (first, second)]
    starts = [int(prefill(runner, slot, tokens).argmax()) for slot, tokens in ((3, first), (0, second))]
    runner.swap(3, len(first), 0, len(second))
    runner.copy(3, 1, len(second))
    runner.release(3, 0)
    completions = [[starts[0]], [starts[1]]]
    for step in range(5):
        last = [completion[-1] for completion in completions]
        logits = runner.decode(last, [len(first) + step, len(second) + step])
        for index, completion in enumerate(completions):
            completion.append(int(row(logits, index).argmax()))
    assert completions == expected


def test_a_copied_prefix_gives_the_very_logits_of_a_fresh_prompt(runner):
    trunk = prompt(60)
    prefill(runner, 0, [*trunk, 1, 2, 3])
    tokens = [*trunk[:48], *prompt(20, seed=9)]
    runner.copy(0, 2, 48)
    shared = row(runner.prefill(2, 48, tokens[48:]))
    assert np.array_equal(shared, prefill(runner, 3, tokens))


def test_a_batch_does_not_touch_the_rows_of_the_slots_behind_it(runner):
    tokens = prompt(33)
    whole = prefill(runner, 0, [*tokens, 5, 6])
    for slot in range(SLOTS):
        prefill(runner, slot, tokens)
    for rows in (1, 2, 3):
        runner.decode([9] * rows, [len(tokens)] * rows)
    assert np.array_equal(row(runner.prefill(4, 32, [tokens[32], 5, 6])), whole)


def test_a_full_slot_behind_the_batch_keeps_its_last_row(graph):
    runner = runner_of(graph, running=4)
    tokens = prompt(CAPACITY)
    runner.prefill(0, 0, tokens[:-1])
    expected = row(runner.decode(tokens[-1:], [CAPACITY - 1]))
    runner.prefill(3, 0, tokens[:-1])
    prefill(runner, 0, [1, 2, 3])
    for length in range(3, 8):
        runner.decode([5, 5, 5], [length, length, length])
    runner.swap(3, CAPACITY - 1, 0, 8)
    assert np.array_equal(row(runner.decode(tokens[-1:], [CAPACITY - 1])), expected)


@pytest.mark.parametrize("length", [CAPACITY - 1, CAPACITY])
def test_a_slot_can_be_filled_to_its_last_row_and_not_beyond(runner, length):
    assert np.isfinite(prefill(runner, 0, prompt(length), 240)).all()
    if length < CAPACITY:
        assert np.isfinite(row(runner.decode([1], [CAPACITY - 1]))).all()
    with pytest.raises(EngineError, match="257 rows of a slot that holds 256"):
        runner.decode([1], [CAPACITY])
    with pytest.raises(EngineError, match="holds 256"):
        runner.prefill(1, 200, [1] * 57)


@pytest.mark.parametrize(
    ("count", "room", "pieces"),
    [
        (1, 300, [(1, 8)]),
        (9, 300, [(9, 16)]),
        (64, 300, [(64, 64)]),
        (160, 300, [(64, 64), (64, 64), (32, 32)]),
        (40, 48, [(32, 32), (8, 8)]),
        (31, 39, [(31, 32)]),
    ],
)
def test_a_chunk_takes_as_few_launches_as_there_is_room_for(count, room, pieces):
    assert list(_pieces(count, room, (8, 16, 32, 64))) == pieces


@pytest.mark.parametrize("edge", [8, 128, 200, 216, 240, 248])
def test_a_chunk_that_ends_at_the_last_row_gives_the_very_logits_too(runner, edge):
    tokens = prompt(CAPACITY)
    whole = prefill(runner, 0, tokens)
    assert np.array_equal(prefill(runner, 1, tokens, edge), whole)


def test_rows_beyond_the_models_context_take_padding_alone(graph):
    """The plan's capacity may exceed the context, where the rotary tables end."""
    context = graph[1].context_tokens
    runner = runner_of(graph, capacity=context, running=4, rows=context + 64)
    tokens = prompt(context)
    whole = prefill(runner, 0, tokens)
    assert np.array_equal(prefill(runner, 1, tokens, context - 8), whole)
    assert np.isfinite(row(runner.decode([1, 2, 3], [5, 6, 7]), 2)).all()


@pytest.mark.parametrize("token", [-1, 320, 10**9])
def test_a_token_beyond_the_table_never_reaches_the_kernel_which_would_read_it(runner, token):
    with pytest.raises(EngineError, match="beyond the vocabulary of 320"):
        runner.prefill(0, 0, [1, token])
    with pytest.raises(EngineError, match="beyond the vocabulary of 320"):
        runner.decode([token], [1])


def test_a_batch_beyond_the_announced_one_is_refused(graph):
    with pytest.raises(EngineError, match="a step of 3 sequences is beyond the 2 that were announced"):
        runner_of(graph, running=2).decode([1, 2, 3], [1, 1, 1])


def test_a_plan_for_fewer_sequences_is_refused_with_what_would_do(graph):
    with pytest.raises(UsageError, match=r"at most 4 sequences at a time, but 5 are required \(set slots to at most 4"):
        runner_of(graph, batch=4)


def test_a_plan_for_a_shorter_context_is_refused_with_what_would_do(graph):
    with pytest.raises(UsageError, match=r"but 257 are required \(set max_context_tokens to at most 2"):
        runner_of(graph, capacity=257)


@pytest.mark.parametrize("chunk", [(1, 7), (9, 64)])
def test_a_profile_too_small_for_a_prompt_is_refused(graph, chunk):
    with pytest.raises(UsageError, match=f"chunks of {chunk[0]} to {chunk[1]} tokens, and chunks of 8 must be"):
        runner_of(graph, chunk=chunk)


def poison(executor, slot):
    """Leave in a slot what a model that overflowed leaves."""
    for address in executor._cache.addresses(slot):
        executor.host.memory.array(address, np.float32, executor._cache.dimensions)[:] = np.nan


def test_what_a_slot_held_before_does_not_reach_a_fresh_prompt(graph):
    executor = executor_of(graph)
    runner = runner_of(graph, executor)
    tokens = prompt(30)
    whole = prefill(runner, 0, tokens)
    runner.prefill(1, 0, prompt(40, seed=1))
    poison(executor, 1)
    assert np.array_equal(prefill(runner, 1, tokens, 16), whole)


def test_what_a_slot_held_before_does_not_reach_rows_moved_there(graph):
    executor = executor_of(graph)
    runner = runner_of(graph, executor)
    tokens = prompt(30)
    prefill(runner, 0, tokens)
    expected = row(runner.decode([3], [30]))
    prefill(runner, 0, tokens)
    poison(executor, 1)
    runner.copy(0, 1, 30)
    poison(executor, 0)
    runner.swap(1, 30, 0, 30)
    assert np.array_equal(row(runner.decode([3], [30])), expected)


def test_candidates_are_the_rows_greatest_and_their_sum(runner):
    for slot in range(3):
        runner.prefill(slot, 0, prompt(9, seed=slot))
    logits = runner.decode([1, 2, 3], [9, 9, 9])
    found = logits.candidates([2, 0])
    whole = logits.rows([2, 0])[:, : found.tokens]
    assert np.array_equal(found.logits, -np.sort(-whole, axis=1)[:, : found.logits.shape[1]])
    assert np.array_equal(np.take_along_axis(whole, found.ids, axis=1), found.logits)
    sums = np.log(np.exp(whole.astype(np.float64)).sum(axis=1))
    np.testing.assert_allclose(found.log_normaliser, sums, rtol=1e-5)


class RoundingExecutor(TrtExecutor):
    """Launches whose last bits depend on their size, as they do where small sizes have kernels of their own."""

    def prefill(self, slot, start, ids, wanted):
        return Rounded(super().prefill(slot, start, ids, wanted), up=len(ids) < 16)

    def decode(self, ids, write_indices):
        return Rounded(super().decode(ids, write_indices), up=len(ids) < 3)


class Rounded:
    """Logits whose last bits are one up, or not."""

    def __init__(self, logits, *, up):
        self._logits = logits
        self._up = up

    def rows(self, indices):
        rows = self._logits.rows(indices)
        return np.nextafter(rows, np.float32(100)) if self._up else rows


def test_sizes_that_round_otherwise_than_larger_ones_are_not_launched(graph):
    runner = runner_of(graph, executor_of(graph, RoundingExecutor), capacity=PLAN_CAPACITY - 16)
    assert runner.lengths == (16, 32, 64)
    assert runner.batches == (4, 5)
    tokens = prompt(PLAN_CAPACITY - 17)
    whole = prefill(runner, 0, tokens)
    for edge in (8, 240):
        assert np.array_equal(prefill(runner, 1, tokens, edge), whole)
    alone = row(runner.decode([7], [len(tokens)]))
    runner.prefill(0, 0, tokens)
    assert np.array_equal(row(runner.decode([7] * 5, [len(tokens), 1, 2, 3, 4])), alone)
