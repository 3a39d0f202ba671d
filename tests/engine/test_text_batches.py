"""Which texts are computed together: every text once, no batch too large, no request starved."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.engine.text_batches import BATCH_TOKENS, WINDOW_TOKENS, batches, window

LENGTHS = st.integers(1, 2 * WINDOW_TOKENS)


@given(st.lists(st.lists(LENGTHS, max_size=20), min_size=1, max_size=8).filter(any))
def test_a_window_has_texts_of_all_requests_in_turn_and_is_bounded(lengths: list[list[int]]):
    chosen = window(lengths)
    assert chosen
    assert len(set(chosen)) == len(chosen)
    tokens = [lengths[request][text] for request, text in chosen]
    assert len(chosen) == 1 or sum(tokens) <= WINDOW_TOKENS
    rounds = [text for _, text in chosen]
    assert rounds == sorted(rounds)


@given(st.lists(LENGTHS, max_size=60))
def test_every_text_is_in_one_batch_and_batches_are_bounded_with_padding(lengths: list[int]):
    found = list(batches(lengths))
    assert sorted(index for batch in found for index in batch) == list(range(len(lengths)))
    for batch in found:
        longest = max(lengths[index] for index in batch)
        assert len(batch) == 1 or longest * len(batch) <= BATCH_TOKENS


def test_texts_of_the_same_length_share_batches():
    lengths = [128, 5] * 32
    sizes = [{lengths[index] for index in batch} for batch in batches(lengths)]
    assert sizes == [{128}, {5}]


def test_a_small_request_does_not_wait_for_a_large_one():
    chosen = window([[256] * 1000, [10]])
    assert (1, 0) in chosen[:2]
