"""What a model needs of a GPU is added up, and a refusal says what would fit."""

import dataclasses

import pytest

from appliance.artefact import ModelShape
from appliance.engine.device_room import RESERVE_BYTES, DeviceRoom
from appliance.errors import NoSpaceError

# 20,000 bytes a token.
SHAPE = ModelShape(25, 4, 50, vocabulary=1000, tokens=1000, context_tokens=4096, cache_dtype="bfloat16")
ROOM = DeviceRoom(SHAPE, weights_bytes=1_000_000_000, slots=10, capacity=4000)


def test_it_is_weights_cache_and_what_is_set_aside():
    assert SHAPE.cache_bytes_per_token == 20_000
    assert ROOM.needed_bytes == 1_000_000_000 + 10 * 4000 * 20_000 + RESERVE_BYTES


def test_spare_rows_are_counted_and_never_said_to_fit_tokens():
    spared = dataclasses.replace(ROOM, spare_rows=64)
    assert spared.cache_bytes == 10 * 4064 * 20_000
    with pytest.raises(NoSpaceError, match=r"10 slots of 2000 tokens would fit, or 5 slots of 4000") as caught:
        spared.check(spared.needed_bytes - 10 * 2000 * 20_000)
    assert "4000 + 64" in caught.value.message
    dataclasses.replace(spared, capacity=2000).check(spared.needed_bytes - 10 * 2000 * 20_000)
    with pytest.raises(NoSpaceError, match="the weights do not fit"):
        spared.check(spared.weights_bytes + RESERVE_BYTES + 10 * 64 * 20_000)


def test_what_fits_exactly_is_taken():
    ROOM.check(ROOM.needed_bytes)


def test_what_does_not_fit_is_refused_with_the_sum_and_what_would_fit():
    with pytest.raises(NoSpaceError) as caught:
        ROOM.check(ROOM.needed_bytes - 400_000_000)
    assert caught.value.message == (
        "the GPU has 2,474 MB free, and 2,874 MB are needed: weights 1,000 MB + "
        "cache 800 MB (10 slots of 4000 tokens at 20000 bytes) + 1,074 MB set aside for kernels"
    )
    assert "10 slots of 2000 tokens would fit, or 5 slots of 4000" in caught.value.hint


def test_what_is_said_to_fit_fits():
    free_bytes = ROOM.needed_bytes - 123_456_789
    with pytest.raises(NoSpaceError, match=r"10 slots of 3382 tokens would fit, or 8 slots of 4000"):
        ROOM.check(free_bytes)
    DeviceRoom(SHAPE, ROOM.weights_bytes, 10, 3382).check(free_bytes)
    DeviceRoom(SHAPE, ROOM.weights_bytes, 8, 4000).check(free_bytes)
    for slots, capacity in ((10, 3383), (9, 4000)):
        with pytest.raises(NoSpaceError):
            DeviceRoom(SHAPE, ROOM.weights_bytes, slots, capacity).check(free_bytes)


def test_one_slot_of_full_length_need_not_fit_for_shorter_ones_to():
    with pytest.raises(NoSpaceError) as caught:
        ROOM.check(ROOM.weights_bytes + RESERVE_BYTES + 2_000_000)
    assert caught.value.hint == (
        "10 slots of 10 tokens would fit: lower max_context_tokens or slots "
        "(the cache has up to two slots for each configured slot)"
    )


def test_weights_that_do_not_fit_are_named():
    with pytest.raises(NoSpaceError, match="the weights do not fit"):
        ROOM.check(1_500_000_000)


def test_memory_that_would_suffice_but_is_not_given_is_called_fragmented():
    error = ROOM.refused(NoSpaceError("the GPU does not give 800000000 bytes"), ROOM.needed_bytes + 5)
    assert error.message.startswith("the GPU's memory is fragmented: 2,874 MB were free for the 2,874 MB needed")
    assert error.message.endswith("yet the GPU does not give 800000000 bytes")
    assert "end other programs" in error.hint


def test_memory_that_does_not_suffice_is_not_called_fragmented():
    error = ROOM.refused(NoSpaceError("the GPU does not give 800000000 bytes"), ROOM.needed_bytes - 5)
    assert "fragmented" not in error.message
    assert "would fit" in error.hint
