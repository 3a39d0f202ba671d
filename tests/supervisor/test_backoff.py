from appliance.supervisor.backoff import Backoff


def test_the_first_restart_is_immediate_and_each_further_one_waits_longer():
    backoff = Backoff()
    delays = [backoff.delay_s(ran_s=1.0) for _ in range(10)]
    assert delays[0] == 0.0
    assert delays == sorted(delays)
    assert delays[1] > 0.0
    assert delays[-1] == 30.0


def test_a_minute_without_a_crash_forgets_the_earlier_ones():
    backoff = Backoff()
    for _ in range(5):
        backoff.delay_s(ran_s=1.0)
    assert backoff.delay_s(ran_s=61.0) == 0.0
    assert backoff.delay_s(ran_s=1.0) > 0.0
