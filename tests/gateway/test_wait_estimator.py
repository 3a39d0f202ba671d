"""How long a request would wait, by what the gateway has seen."""

from __future__ import annotations

from appliance.gateway.answering.wait_estimator import WaitEstimator


def test_with_a_free_slot_there_is_no_wait():
    waits = WaitEstimator({"m": 2})
    waits.begin("m")
    assert waits.estimate("m").wait_s == 0


def test_without_a_free_slot_and_without_experience_there_is_no_estimate():
    waits = WaitEstimator({"m": 2})
    for _ in range(2):
        waits.begin("m")
    estimate = waits.estimate("m")
    assert (estimate.requests, estimate.wait_s, estimate.finished) == (2, None, 0)


def test_the_estimate_grows_with_the_line_and_rests_on_the_median():
    waits = WaitEstimator({"m": 2})
    for service_s in (1.0, 4.0, 90.0):
        waits.begin("m")(service_s)
    running = [waits.begin("m") for _ in range(3)]
    estimate = waits.estimate("m")
    assert (estimate.requests, estimate.finished, estimate.service_s) == (3, 3, 4.0)
    # Second in line, and a slot becomes free every two seconds.
    assert estimate.wait_s == 4.0
    for end in running:
        end(None)
    assert waits.estimate("m").wait_s == 0


def test_an_end_counts_once_and_a_failure_teaches_nothing():
    waits = WaitEstimator({"m": 1})
    end = waits.begin("m")
    end(None)
    end(3.0)
    assert (waits.estimate("m").requests, waits.estimate("m").finished) == (0, 0)


def test_models_do_not_count_for_each_other():
    waits = WaitEstimator({"a": 1, "b": 3})
    waits.begin("a")
    assert (waits.estimate("a").requests, waits.estimate("a").slots) == (1, 1)
    assert (waits.estimate("b").requests, waits.estimate("b").slots) == (0, 3)


def test_only_the_last_requests_are_remembered():
    waits = WaitEstimator({"m": 1})
    for service_s in [100.0] * 64 + [1.0] * 64:
        waits.begin("m")(service_s)
    assert waits.estimate("m").service_s == 1.0
