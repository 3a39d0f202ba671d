"""The rule: cooler never means fewer, always between one and all, and no to and fro within the hysteresis."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.jetson.heat import HYSTERESIS_C, LEAST_C, MARGIN_C, RECOVERY_S, Allowance, allow, capacity

SLOTS = st.integers(1, 64)
HEADROOM = st.floats(-50, 150)


def _after(slots: int, *headrooms: float | None, seconds: float = RECOVERY_S) -> list[int]:
    """Allowances after looks at such intervals, from a cool start."""
    state, found = Allowance(slots, 0.0), []
    for index, headroom in enumerate(headrooms, start=1):
        state = allow(state, headroom, slots, index * seconds)
        found.append(state.slots)
    return found


def test_the_numbers_of_the_rule():
    assert (MARGIN_C, LEAST_C, HYSTERESIS_C, RECOVERY_S) == (10.0, 2.0, 3.0, 5.0)
    assert [capacity(headroom, 9) for headroom in (60, 10, 9, 6, 3, 2, 0, -5)] == [9, 9, 8, 5, 2, 1, 1, 1]


@given(slots=SLOTS, before=st.integers(1, 64), one=HEADROOM, other=HEADROOM, now=st.floats(0, 100))
def test_cooler_never_allows_fewer(slots: int, before: int, one: float, other: float, now: float):
    state = Allowance(min(before, slots), 0.0)
    hot, cool = (allow(state, headroom, slots, now).slots for headroom in sorted((one, other)))
    assert hot <= cool


@given(slots=SLOTS, looks=st.lists(st.none() | HEADROOM, max_size=50), seconds=st.floats(0.1, 20))
def test_it_is_always_between_one_and_all(slots: int, looks: list[float | None], seconds: float):
    assert all(1 <= allowed <= slots for allowed in _after(slots, *looks, seconds=seconds))


@given(slots=SLOTS, base=HEADROOM, parts=st.lists(st.floats(0, 0.999), min_size=2, max_size=50))
def test_within_the_hysteresis_it_never_rises_again(slots: int, base: float, parts: list[float]):
    found = _after(slots, *(base + part * HYSTERESIS_C for part in parts), seconds=100)
    assert found == sorted(found, reverse=True)


@given(slots=SLOTS, headroom=HEADROOM)
def test_heat_counts_at_once(slots: int, headroom: float):
    assert _after(slots, headroom, seconds=0.001) == [capacity(headroom, slots)]


def test_recovery_takes_one_slot_at_a_time():
    assert _after(4, 0, 60, 60, 60, 60) == [1, 2, 3, 4, 4]
    assert _after(4, 0, 60, 60, 60, seconds=RECOVERY_S / 2) == [1, 1, 2, 2]


def test_recovery_waits_for_the_hysteresis():
    assert _after(2, 9.9, 10, 12.9, 13) == [1, 1, 1, 2]


@given(slots=SLOTS, before=st.integers(1, 64))
def test_a_board_that_stays_cool_gets_all_slots_back(slots: int, before: int):
    state = Allowance(min(before, slots), 0.0)
    for look in range(64):
        state = allow(state, MARGIN_C + HYSTERESIS_C, slots, (look + 1) * RECOVERY_S)
    assert state.slots == slots


def test_without_a_temperature_nothing_changes():
    assert _after(8, 5, None, None, seconds=100) == [capacity(5, 8)] * 3
