"""SlotAttention against numpy and GroupQueryAttention; the same bits in any chunks, any batch and with any threads."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from appliance.ops.library import library
from tests.ops.caches import Cache, Heads, cache, grouped_query_cache
from tests.ops.reference import Floats, attention, close, rotated
from tests.ops.sessions import session

HEADS = [Heads(14, 2, 64), Heads(4, 4, 64), Heads(5, 1, 80), Heads(6, 2, 96), Heads(8, 4, 128), Heads(2, 1, 256)]
# More heads in a group than one task holds.
MANY = Heads(100, 1, 64)


@pytest.fixture
def tolerance() -> float:
    """How far a context may be from the exact one: with AMX, the operands are rounded to bfloat16."""
    return 2e-2 if library().kernels == "amx" else 1e-5


def in_numpy(heads: Heads, rows: Floats, count: int) -> NDArray[np.float64]:
    """The context of the last `count` of all rows [rows, width] of one sequence."""
    parts = rows.reshape(len(rows), -1, heads.dim)
    cos, sin = (table[: len(rows)] for table in heads.angles())
    query = rotated(parts[:, : heads.heads], cos, sin)
    keys = rotated(parts[:, heads.heads : heads.heads + heads.groups], cos, sin)
    values = parts[:, heads.heads + heads.groups :].astype(np.float64)
    return attention(query[-count:], keys, values, heads.scale).reshape(count, -1)


def in_chunks(slots: Cache, rows: Floats, chunks: list[int]) -> Floats:
    """The context of all rows of one sequence, computed in chunks of these lengths."""
    contexts, at = [], 0
    for length in chunks:
        chunk = rows[:, at : at + length]
        if chunk.shape[1]:
            at += chunk.shape[1]
            contexts.append(slots.step(chunk, [at - 1]))
    return np.concatenate(contexts, 1)


@pytest.mark.parametrize("heads", [*HEADS, MANY], ids=str)
def test_the_context_is_as_in_numpy(ops_library: str, tolerance: float, heads: Heads):
    rows = heads.rows(1, 150)
    slots = cache(heads, 1, ops_library)
    for first, end in ((0, 3), (3, 70), (70, 71), (71, 128), (128, 150)):
        result = slots.step(rows[:, first:end], [end - 1])
        assert close(result[0], in_numpy(heads, rows[0, :end], end - first), tolerance)


@pytest.mark.parametrize("heads", HEADS, ids=str)
def test_the_context_is_close_to_onnx_runtimes_own(ops_library: str, tolerance: float, heads: Heads):
    rows = heads.rows(3, 100)
    ours, theirs = cache(heads, 3, ops_library), grouped_query_cache(heads, 3)
    for first, end in ((0, 64), (64, 65), (65, 66), (66, 67)):
        lasts = [end - 1] * 3
        expected = theirs.step(rows[:, first:end], lasts).astype(np.float64)
        assert close(ours.step(rows[:, first:end], lasts), expected, tolerance)


def test_query_key_and_value_may_be_three_inputs(ops_library: str):
    heads = HEADS[0]
    rows = heads.rows(1, 20)
    query, key, value = np.split(rows, [heads.heads * heads.dim, (heads.heads + heads.groups) * heads.dim], axis=2)
    slots = cache(heads, 1, ops_library)
    feeds = {"query": query, "key": key, "value": value, "seqlens_k": np.array([19], np.int32)}
    past = {"past_key": slots.keys.numpy(), "past_value": slots.values.numpy()}
    made = session(heads.node(packed=False), {**feeds, **past}, ops_library)
    binding = made.io_binding()
    for name, feed in feeds.items():
        binding.bind_cpu_input(name, np.ascontiguousarray(feed))
    for name, memory in (("key", slots.keys), ("value", slots.values)):
        binding.bind_ortvalue_input(f"past_{name}", memory)
        binding.bind_ortvalue_output(f"present_{name}", memory)
    binding.bind_output("context")
    made.run_with_iobinding(binding)
    assert (binding.get_outputs()[2].numpy() == cache(heads, 1, ops_library).step(rows, [19])).all()


@pytest.mark.parametrize("heads", [*HEADS, MANY], ids=str)
def test_a_row_has_the_same_bits_in_any_chunks_and_with_any_threads(ops_library: str, heads: Heads):
    rows = heads.rows(1, 150)
    expected = in_chunks(cache(heads, 1, ops_library), rows, [150])
    for threads, chunks in (
        (1, [1] * 150),
        (2, [64, 86]),
        (3, [100, 50]),
        (5, [7] * 22),
        (8, [1, 148, 1]),
        (64, [150]),
    ):
        # What the cache held before must not matter.
        slots = cache(heads, 1, ops_library, threads=threads, fill=np.nan)
        assert (in_chunks(slots, rows, chunks) == expected).all(), (threads, chunks)


@pytest.mark.parametrize("threads", [1, 2, 3, 5, 8, 64])
def test_a_row_has_the_same_bits_in_any_batch(ops_library: str, threads: int):
    heads = HEADS[0]
    lengths = [99, 1, 64, 63, 65, 130, 17]
    alone = []
    together = cache(heads, len(lengths), ops_library, threads=threads, fill=np.nan)
    steps = heads.rows(len(lengths), 2, seed=9)
    for slot, length in enumerate(lengths):
        one = cache(heads, 1, ops_library)
        one.step(heads.rows(1, length, seed=slot), [length - 1])
        together.copy_slot(slot, one, 0)
        alone.append(one.step(steps[slot : slot + 1], [length + 1])[0])
    result = together.step(steps, [length + 1 for length in lengths])
    assert (result == np.stack(alone)).all()


@pytest.mark.parametrize("strange", [np.nan, np.inf])
def test_a_row_with_nan_or_infinity_spoils_no_earlier_row_and_no_other_slot(ops_library: str, strange: float):
    heads = HEADS[0]
    rows = heads.rows(2, 100)
    clean = cache(heads, 2, ops_library).step(rows, [99, 99])
    rows[0, 40] = strange
    result = cache(heads, 2, ops_library).step(rows, [99, 99])
    assert (result[0, :40] == clean[0, :40]).all()
    assert (result[1] == clean[1]).all()
    assert np.isnan(result[0, 40]).all()


def test_no_rows_and_no_slots_give_no_context(ops_library: str):
    heads = HEADS[0]
    assert cache(heads, 2, ops_library).step(heads.rows(2, 0), [0, 0]).shape == (2, 0, 14 * 64)
    assert cache(heads, 0, ops_library).step(heads.rows(0, 3), []).shape == (0, 3, 14 * 64)


def test_a_step_writes_its_own_positions_only(ops_library: str):
    heads = HEADS[0]
    slots = cache(heads, 2, ops_library, fill=7)
    slots.step(heads.rows(2, 3), [66, 130])
    keys = slots.keys.numpy().reshape(2, heads.groups, heads.capacity // 64, heads.dim, 64)
    values = slots.values.numpy()
    for slot, last in enumerate((66, 130)):
        written = np.zeros(heads.capacity, bool)
        written[last - 2 : last + 1] = True
        by_position = keys[slot].transpose(0, 1, 3, 2).reshape(heads.groups, heads.capacity, heads.dim)
        assert (by_position[:, ~written] == 7).all()
        assert (values[slot][:, ~written] == 7).all()
        assert (by_position[:, written] != 7).all()
        assert (values[slot][:, written] != 7).all()
