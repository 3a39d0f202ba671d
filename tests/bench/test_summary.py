from __future__ import annotations

from bench.summary import Spread, spread


def test_a_spread_is_median_least_and_greatest():
    assert spread([3.0, 1.0, 10.0]) == Spread(3.0, 1.0, 10.0)
    assert spread([]) is None
