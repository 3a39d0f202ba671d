"""How long a request would wait, by what the gateway has seen."""

from __future__ import annotations

from appliance.gateway.triton.traffic import Traffic


def test_with_a_free_slot_there_is_no_wait():
    traffic = Traffic({"m": 2})
    traffic.begin("m")
    assert traffic.forecast("m").wait_s == 0


def test_without_a_free_slot_and_without_experience_there_is_no_estimate():
    traffic = Traffic({"m": 2})
    for _ in range(2):
        traffic.begin("m")
    forecast = traffic.forecast("m")
    assert (forecast.requests, forecast.wait_s, forecast.finished) == (2, None, 0)


def test_the_estimate_grows_with_the_line_and_rests_on_the_median():
    traffic = Traffic({"m": 2})
    for service_s in (1.0, 4.0, 90.0):
        traffic.begin("m")(service_s)
    running = [traffic.begin("m") for _ in range(3)]
    forecast = traffic.forecast("m")
    assert (forecast.requests, forecast.finished, forecast.service_s) == (3, 3, 4.0)
    # Second in line, and a slot becomes free every two seconds.
    assert forecast.wait_s == 4.0
    for end in running:
        end(None)
    assert traffic.forecast("m").wait_s == 0


def test_an_end_counts_once_and_a_failure_teaches_nothing():
    traffic = Traffic({"m": 1})
    end = traffic.begin("m")
    end(None)
    end(3.0)
    assert (traffic.forecast("m").requests, traffic.forecast("m").finished) == (0, 0)


def test_models_do_not_count_for_each_other():
    traffic = Traffic({"a": 1, "b": 3})
    traffic.begin("a")
    assert (traffic.forecast("a").requests, traffic.forecast("a").slots) == (1, 1)
    assert (traffic.forecast("b").requests, traffic.forecast("b").slots) == (0, 3)


def test_only_the_last_requests_are_remembered():
    traffic = Traffic({"m": 1})
    for service_s in [100.0] * 64 + [1.0] * 64:
        traffic.begin("m")(service_s)
    assert traffic.forecast("m").service_s == 1.0
