"""CUDA's memory does what main memory does, with calls that the real package knows; its errors are told apart."""

import inspect

import numpy as np
import pytest
from cuda.bindings import runtime as real

from appliance.engine import cuda_memory
from appliance.engine.cuda_memory import CudaMemory
from appliance.engine.kv_cache import KVCache
from appliance.engine.memory import HostMemory
from appliance.errors import DeviceLostError, EngineError, NoSpaceError
from tests.engine.simulated_cuda import SimulatedCuda
from tests.engine.test_kv_cache import SHAPE

CALLS = sorted(name for name in vars(SimulatedCuda) if name.startswith("cuda") and callable(getattr(real, name)))
CALLS = [name for name in CALLS if inspect.isfunction(vars(SimulatedCuda)[name])]


@pytest.fixture
def cuda(monkeypatch):
    simulated = SimulatedCuda()
    monkeypatch.setattr(cuda_memory, "cuda", simulated)
    return simulated


@pytest.mark.parametrize("name", CALLS)
def test_the_simulation_takes_what_the_real_package_takes(name):
    signature = getattr(real, name).__doc__.partition("\n")[0]
    words = signature.partition("(")[2].rstrip(")").split(", ")
    expected = [word.partition(":")[0].split()[-1] for word in words if word]
    assert list(inspect.signature(vars(SimulatedCuda)[name]).parameters)[1:] == expected


def test_the_memory_calls_nothing_that_is_not_simulated():
    source = inspect.getsource(cuda_memory)
    called = {word.partition("(")[0] for word in source.split("cuda.cuda")[1:] if "(" in word.split()[0]}
    assert {f"cuda{name}" for name in called} == set(CALLS)


def contents(memory, cache):
    dimensions = (4, *cache.dimensions)
    return np.stack([np.array(memory.fetch(region, 0, np.float32, dimensions)) for region in cache._regions])


def filled(memory):
    cache = KVCache(SHAPE, 4, 64, memory)
    for index, address in enumerate(cache.addresses(0)):
        values = np.random.default_rng(index).standard_normal((4, *cache.dimensions)).astype(np.float32)
        memory.store(address, values)
        values[:] = np.nan  # the caller's again
    return cache


@pytest.mark.parametrize(
    "change",
    [
        lambda cache: cache.copy(1, 3, 10),
        lambda cache: cache.copy(0, 2, 64),
        lambda cache: cache.copy(0, 2, 0),
        lambda cache: cache.swap(0, 10, 2, 3),
        lambda cache: cache.swap(3, 0, 1, 64),
        lambda cache: cache.clear(2, 10),
        lambda cache: cache.clear(2, 64),
    ],
)
def test_rows_are_moved_as_in_main_memory(cuda, change):
    host, device = HostMemory(), CudaMemory()
    caches = [filled(memory) for memory in (host, device)]
    for cache in caches:
        change(cache)
    assert np.array_equal(contents(host, caches[0]), contents(device, caches[1]))
    assert cuda.used > 0


def test_reserved_memory_holds_zeros_and_is_given_back(cuda):
    memory = CudaMemory()
    region = memory.reserve(64)
    assert (memory.fetch(region, 8, np.int64, (7,)) == 0).all()
    assert memory.free_bytes() == cuda.total - 64
    memory.free(region)
    memory.reserve(32)
    assert cuda.used == 32
    del memory
    assert cuda.used == 0


def test_too_much_is_refused_and_the_next_call_works(cuda):
    memory = CudaMemory()
    with pytest.raises(NoSpaceError, match="cannot allocate 2147483648 bytes"):
        memory.reserve(1 << 31)
    assert cuda.last == real.cudaError_t.cudaSuccess
    assert memory.reserve(8).size_bytes == 8


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (real.cudaError_t.cudaErrorLaunchFailure, DeviceLostError),
        (real.cudaError_t.cudaErrorUnknown, DeviceLostError),
        (real.cudaError_t.cudaErrorECCUncorrectable, DeviceLostError),
        (real.cudaError_t.cudaErrorInvalidValue, EngineError),
    ],
)
def test_errors_are_told_apart_by_whether_the_process_can_go_on(cuda, error, kind):
    memory = CudaMemory()
    region = memory.reserve(64)
    cuda.error = error
    with pytest.raises(EngineError, match=error.name) as caught:
        memory.fetch(region, 0, np.uint8, (8,))
    assert type(caught.value) is kind
    cuda.error = real.cudaError_t.cudaSuccess


def test_an_error_of_one_call_is_not_found_by_the_next_launch(cuda):
    memory = CudaMemory()
    region = memory.reserve(64)
    cuda.error = cuda.last = real.cudaError_t.cudaErrorInvalidValue
    with pytest.raises(EngineError, match="cudaErrorInvalidValue"):
        memory.store(region.address, np.zeros(1))
    assert cuda.last == real.cudaError_t.cudaSuccess
    cuda.error = real.cudaError_t.cudaSuccess
