"""The circuit breaker of one model."""

from __future__ import annotations

from appliance.gateway.routing.breaker import FAULTS, Breaker


class Time:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def opened(time: Time) -> Breaker:
    breaker = Breaker(time)
    for _ in range(FAULTS):
        assert breaker.allows
        breaker.begin()
        breaker.failed()
    return breaker


def test_only_faults_in_a_row_open_it():
    breaker = Breaker(Time())
    for _ in range(3 * FAULTS):
        breaker.begin()
        breaker.failed()
        breaker.succeeded()
    assert breaker.allows
    assert not breaker.is_open


def test_after_a_pause_one_request_at_a_time_tries_the_model():
    time = Time()
    breaker = opened(time)
    assert not breaker.allows
    time.now += 5
    assert breaker.allows
    breaker.begin()
    assert not breaker.allows
    breaker.succeeded()
    assert breaker.allows
    assert not breaker.is_open


def test_each_trial_that_fails_doubles_the_pause_up_to_a_minute():
    time = Time()
    breaker = opened(time)
    pauses = []
    for _ in range(7):
        begun = time.now
        while not breaker.allows:
            time.now += 1
        pauses.append(time.now - begun)
        breaker.begin()
        breaker.failed()
    assert pauses == [5, 10, 20, 40, 60, 60, 60]


def test_a_trial_whose_client_leaves_does_not_close_the_way_for_ever():
    time = Time()
    breaker = opened(time)
    time.now += 5
    breaker.begin()
    time.now += 5
    assert breaker.allows
