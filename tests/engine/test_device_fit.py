"""What is free on a device is measured, and a refusal says what would fit."""

import pytest

from appliance.capacity import RUNTIME_BYTES, Cache, Fit, GpuMemory
from appliance.engine import device_fit
from appliance.engine.device_fit import DeviceFit, free_memory
from appliance.errors import NoSpaceError
from tests.engine.device_on_host import FiniteMemory

GB = 10**9
NEEDED = GB + 10 * 4000 * 20_000 + RUNTIME_BYTES


def fit(free_bytes: int, slots: int = 10, context_tokens: int = 4000, spare_rows: int = 0) -> DeviceFit:
    """1 GB of weights and 20,000 bytes a token."""
    cache = Cache(slots, context_tokens, spare_rows)
    return DeviceFit(Fit(GpuMemory.free(free_bytes, shared=False), GB, 20_000, cache))


def refusal(wanted: DeviceFit) -> NoSpaceError:
    with pytest.raises(NoSpaceError) as caught:
        wanted.check()
    return caught.value


def test_what_fits_exactly_is_taken():
    fit(NEEDED).check()
    assert refusal(fit(NEEDED - 1))


def test_what_does_not_fit_is_refused_with_the_sum_and_what_would_fit():
    error = refusal(fit(NEEDED - 400_000_000))
    assert error.message == (
        "the model does not fit the GPU's free memory: 1.00 GB of weights + 800.0 MB of cache (10 slots of 4,000 rows) "
        "+ 1.07 GB for the runtime = 2.87 GB, but 2.47 GB are available"
    )
    assert error.hint == (
        "10 slots of 2000 tokens, or 5 slots of 4000 would fit: lower max_context_tokens or slots "
        "(the cache has up to two slots for each configured slot)"
    )


def test_what_is_said_to_fit_fits():
    free_bytes = NEEDED - 123_456_789
    assert "10 slots of 3382 tokens, or 8 slots of 4000 would fit" in refusal(fit(free_bytes)).hint
    for slots, context in ((10, 3382), (8, 4000)):
        fit(free_bytes, slots, context).check()
    for slots, context in ((10, 3383), (9, 4000)):
        assert refusal(fit(free_bytes, slots, context))


def test_spare_rows_are_counted_and_never_said_to_fit_tokens():
    free_bytes = NEEDED + 10 * 64 * 20_000 - 10 * 2000 * 20_000
    assert "10 slots of 2000 tokens, or 5 slots of 4000" in refusal(fit(free_bytes, spare_rows=64)).hint
    fit(free_bytes, context_tokens=2000, spare_rows=64).check()


def test_one_slot_of_full_length_need_not_fit_for_shorter_ones_to():
    assert refusal(fit(GB + RUNTIME_BYTES + 2_000_000)).hint.startswith("10 slots of 10 tokens would fit:")


def test_few_slots_may_fit_where_none_is_short_enough():
    free_bytes = GB + RUNTIME_BYTES + 4064 * 20_000
    assert refusal(fit(free_bytes, slots=100, spare_rows=64)).hint.startswith("1 slots of 4000 would fit:")


def test_weights_that_do_not_fit_are_named():
    assert "not even the weights fit" in refusal(fit(1_500_000_000)).hint


def test_memory_that_was_free_and_is_not_given_is_called_fragmented():
    error = fit(NEEDED + 5).refused(NoSpaceError("the GPU does not give 800000000 bytes"))
    assert error.message.startswith("the GPU's memory is fragmented")
    assert error.message.endswith("the GPU does not give 800000000 bytes")
    assert "end other programs" in error.hint


def test_shared_memory_is_what_the_kernel_would_give(monkeypatch: pytest.MonkeyPatch):
    memory = FiniteMemory()
    monkeypatch.setattr(device_fit, "available_bytes", lambda: 5 * GB)
    assert free_memory(memory, shared=True) == GpuMemory.free(5 * GB, shared=True)
    assert free_memory(memory, shared=False) == GpuMemory.free(memory.free, shared=False)
