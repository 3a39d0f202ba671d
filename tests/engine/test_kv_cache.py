"""Rows move whole, neighbours stay as they are, and released memory goes back to the system."""

from dataclasses import replace

import numpy as np
import psutil
import pytest

from appliance.artefact import ModelShape
from appliance.engine.kv_cache import KVCache
from appliance.engine.memory import HostMemory
from appliance.errors import NoSpaceError

SHAPE = ModelShape(layers=2, kv_heads=2, head_dim=16, vocabulary=8, tokens=8, context_tokens=4096)


class Cache(KVCache):
    """A cache in main memory whose content can be seen."""

    def __init__(self, shape, slots, capacity):
        self.memory = HostMemory()
        self.dtype = np.dtype({"float32": np.float32}.get(shape.cache_dtype, np.uint16))
        super().__init__(shape, slots, capacity, self.memory)

    def view(self, first, count):
        """Each buffer's part for `count` slots from `first` on."""
        shape = (self.slots, *self.dimensions)
        arrays = [self.memory.fetch(region, 0, self.dtype, shape) for region in self._regions]
        return [array[first : first + count] for array in arrays]


@pytest.fixture
def cache():
    cache = Cache(SHAPE, 4, 64)
    for index, buffer in enumerate(cache.view(0, 4)):
        buffer[...] = np.random.default_rng(index).standard_normal(buffer.shape).astype(np.float32)
    return cache


def contents(cache):
    return np.stack([buffer.copy() for buffer in cache.view(0, 4)])


def test_there_is_a_named_buffer_for_keys_and_values_of_every_layer(cache):
    assert cache.names == ("0.key", "0.value", "1.key", "1.value")
    assert [buffer.shape for buffer in cache.view(0, 4)] == [(4, 2, 64, 16)] * 4


def test_a_slot_s_address_is_where_its_rows_are(cache):
    whole, third = cache.view(0, 4)[3], cache.addresses(2)[3]
    assert third - cache.addresses(0)[3] == whole[:2].nbytes
    cache.memory.store(third, np.full(16, 7.0, np.float32))
    assert (whole[2, 0, 0] == 7.0).all()


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


@pytest.mark.parametrize("first", [0, 1, 30, 64])
def test_clearing_makes_the_last_rows_zero_and_nothing_else(cache, first):
    before = contents(cache)
    cache.clear(1, first)
    after = contents(cache)
    assert not after[:, 1, :, first:].any()
    before[:, 1, :, first:] = 0
    assert np.array_equal(after, before)


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
    cache = Cache(SHAPE, 8, 1 << 18)  # 1 GiB of addresses
    assert process.memory_info().rss - start < 32 << 20
    for buffer in cache.view(5, 1):
        buffer[...] = 1.0
    touched = process.memory_info().rss
    assert touched - start > 100 << 20
    cache.release(5, 0)
    assert touched - process.memory_info().rss > 100 << 20


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_takes_half_the_memory(dtype):
    cache = Cache(replace(SHAPE, cache_dtype=dtype), 4, 8)
    assert cache.addresses(1)[0] - cache.addresses(0)[0] == 2 * 8 * 16 * 2
    before = contents(cache)
    cache.view(0, 4)[0][1] = 5
    cache.copy(1, 2, 3)
    assert (contents(cache)[0, 2, :, :3] == 5).all()
    assert np.array_equal(contents(cache)[0, 2, :, 3:], before[0, 2, :, 3:])


def test_more_than_the_system_can_address_is_refused():
    with pytest.raises(
        NoSpaceError, match="not enough memory for a cache of 8 slots of 4398046511104 tokens: no address space"
    ):
        Cache(SHAPE, 8, 1 << 42)


def test_what_was_reserved_before_there_was_no_more_is_given_back():
    class Short(HostMemory):
        def reserve(self, size_bytes, *, sparse=False):
            if len(self._maps) == 3:
                raise NoSpaceError("no more")
            return super().reserve(size_bytes, sparse=sparse)

    memory = Short()
    with pytest.raises(NoSpaceError, match="no more"):
        KVCache(SHAPE, 2, 8, memory)
    assert memory._maps == {}


def test_a_freed_cache_leaves_nothing():
    cache = Cache(SHAPE, 2, 8)
    cache.free()
    assert cache.memory._maps == {}
