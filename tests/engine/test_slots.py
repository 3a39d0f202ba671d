"""Slots by themselves: what moves leave behind is given back, and longest unused prefixes go first."""

from appliance.engine.request import Request
from appliance.engine.sequence import Sequence, Status
from appliance.engine.slots import MUCH_SLACK_ROWS, Release, SlotTable


def sequence(order, prompt):
    made = Sequence(Request(str(order), tuple(prompt)), order=order, max_tokens=8, now=0.0)
    made.status = Status.PREFILL
    return made, len(made.tokens)


def run(slots, order, prompt):
    """Place, fill, decode and finish one sequence, keeping its prefix."""
    made, rows = sequence(order, prompt)
    slots.place(made)
    assert slots.reserve(made, rows)
    made.rows, made.status = rows, Status.DECODE
    slots.start_decoding(made)
    made.status = Status.FINISHED
    slots.stop(made, keep=True)
    return made


def test_a_short_sequence_does_not_keep_the_memory_of_the_long_one_it_changed_places_with():
    slots = SlotTable(4, 10_000, share_prefixes=True)
    run(slots, 0, [1] * (2 * MUCH_SLACK_ROWS))
    run(slots, 1, [2] * 20)
    operations = slots.take_operations()
    assert isinstance(operations[-1], Release)
    assert operations[-1].keep_rows == 20
    assert slots.used_rows == 2 * MUCH_SLACK_ROWS + 20


def test_the_prefix_unused_for_longest_makes_room():
    slots = SlotTable(8, 100, share_prefixes=True)
    first, second = run(slots, 0, [1] * 40), run(slots, 1, [2] * 40)
    reader, _ = sequence(2, [1] * 17 + [9] * 3)
    slots.place(reader)  # uses the first again, by copying
    assert reader.rows == 16
    third, rows = sequence(3, [3] * 40)
    slots.place(third)
    assert slots.reserve(third, rows)
    assert second.slot is None
    assert first.slot is not None


def test_what_runs_is_never_dropped_for_room():
    slots = SlotTable(4, 100, share_prefixes=True)
    running, rows = sequence(0, [1] * 60)
    slots.place(running)
    assert slots.reserve(running, rows)
    other, rows = sequence(1, [2] * 60)
    slots.place(other)
    assert not slots.reserve(other, rows)
    assert slots.reserve(other, 40)
    assert slots.used_rows == 100
