from __future__ import annotations

import pytest

from bench.workers.timeline import decode_rate, first_token_s, spread_tokens, steady_rate


def test_the_rate_of_one_stream_leaves_its_first_token_out():
    assert steady_rate([[(5.0, 1), (6.0, 1), (7.0, 1)]]) == pytest.approx(1.0)


def test_only_the_time_in_which_all_streams_decode_counts():
    early = [(0.0, 1.0), (1.0, 1.0), (2.0, 1.0), (3.0, 1.0)]
    late = [(1.0, 1.0), (2.0, 1.0), (3.0, 1.0), (4.0, 1.0)]
    # Between 1 s and 3 s each has two tokens.
    assert steady_rate([early, late]) == pytest.approx(2.0)


def test_several_tokens_that_arrive_together_all_count():
    assert steady_rate([[(0.0, 1), (2.0, 4)]]) == pytest.approx(2.0)


def test_there_is_no_rate_when_the_streams_never_decode_together():
    assert steady_rate([[(0.0, 1.0), (1.0, 1.0)], [(2.0, 1.0), (3.0, 1.0)]]) is None


def test_there_is_no_rate_of_a_single_token():
    assert steady_rate([[(1.0, 1.0)]]) is None


def test_completions_one_after_another_count_their_tokens_after_the_first():
    assert decode_rate([[(9.0, 1), (10.0, 1)], [(5.0, 2), (6.0, 2), (8.0, 1)]]) == pytest.approx(4 / 4)
    assert decode_rate([[(9.0, 1)]]) is None


def test_the_first_token_is_the_first_arrival():
    assert first_token_s([(0.5, 1), (0.7, 1)]) == pytest.approx(0.5)


def test_events_without_counts_share_the_tokens():
    assert spread_tokens([1.0, 2.0], 3) == [(1.0, 1.5), (2.0, 1.5)]
