"""Rows move whole, neighbours stay as they are, and released memory goes back to the system."""

import numpy as np
import psutil
import pytest

from appliance.artefact import ModelShape
from appliance.engine.kv_cache import KVCache
from appliance.errors import NoSpaceError

SHAPE = ModelShape(layers=2, kv_heads=2, head_dim=16, vocabulary=8, tokens=8, context_tokens=4096)


@pytest.fixture
def cache():
    cache = KVCache(SHAPE, 4, 64)
    for index, buffer in enumerate(cache.view(0, 4)):
        buffer[...] = np.random.default_rng(index).standard_normal(buffer.shape).astype(np.float32)
    return cache


def contents(cache):
    return np.stack([buffer.copy() for buffer in cache.view(0, 4)])


def test_there_is_a_named_buffer_for_keys_and_values_of_every_layer(cache):
    assert cache.names == ("0.key", "0.value", "1.key", "1.value")
    assert [buffer.shape for buffer in cache.view(1, 2)] == [(2, 2, 64, 16)] * 4


def test_a_view_is_the_memory_itself_and_contiguous(cache):
    view = cache.view(2, 1)[3]
    assert view.flags.c_contiguous
    view[0, 1, 5] = 7.0
    assert (cache.view(0, 4)[3][2, 1, 5] == 7.0).all()


def test_copy_moves_the_first_rows_alone(cache):
    before = contents(cache)
    cache.copy(1, 3, 10)
    after = contents(cache)
    expected = before.copy()
    expected[:, 3, :, :10] = before[:, 1, :, :10]
    assert np.array_equal(after, expected)


@pytest.mark.parametrize(("first_rows", "second_rows"), [(10, 3), (3, 10), (0, 5), (64, 64)])
def test_swap_exchanges_the_rows_in_use(cache, first_rows, second_rows):
    before = contents(cache)
    cache.swap(0, first_rows, 2, second_rows)
    after = contents(cache)
    assert np.array_equal(after[:, 2, :, :first_rows], before[:, 0, :, :first_rows])
    assert np.array_equal(after[:, 0, :, :second_rows], before[:, 2, :, :second_rows])
    assert np.array_equal(after[:, [1, 3]], before[:, [1, 3]])


@pytest.mark.parametrize("keep", [0, 1, 30, 64])
def test_release_keeps_the_rows_in_use_and_the_neighbours(cache, keep):
    before = contents(cache)
    cache.release(1, keep)
    after = contents(cache)
    assert np.array_equal(after[:, 1, :, :keep], before[:, 1, :, :keep])
    assert np.array_equal(after[:, [0, 2, 3]], before[:, [0, 2, 3]])


def test_untouched_slots_cost_nothing_and_released_rows_are_given_back():
    process = psutil.Process()
    start = process.memory_info().rss
    cache = KVCache(SHAPE, 8, 1 << 18)  # 1 GiB of addresses
    assert process.memory_info().rss - start < 32 << 20
    for buffer in cache.view(5, 1):
        buffer[...] = 1.0
    touched = process.memory_info().rss
    assert touched - start > 100 << 20
    cache.release(5, 0)
    assert touched - process.memory_info().rss > 100 << 20


def test_half_precision_takes_half_the_memory():
    shape = ModelShape(**{**SHAPE.__dict__, "cache_dtype": "float16"})
    assert KVCache(shape, 1, 8).view(0, 1)[0].dtype == np.float16


def test_more_than_the_system_can_address_is_refused():
    with pytest.raises(NoSpaceError, match="no address space for 8 slots"):
        KVCache(SHAPE, 8, 1 << 42)
