"""The arithmetic of limits. Time is a number here."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import PromptTooLongError
from appliance.gateway.access.account import Account, Limits
from appliance.gateway.access.rate import Rate
from appliance.gateway.refusals import LimitError
from tests.refusals import refused


def test_a_minutes_worth_can_be_taken_at_once_and_comes_back_evenly():
    rate = Rate(60, now=100.0)
    rate.take(60, 100.0)
    assert rate.wait_s(1, 100.0) == 1.0
    assert rate.wait_s(1, 101.0) == 0.0
    assert rate.left(110.0) == 10.0
    assert rate.left(1000.0) == 60.0


def test_debt_is_paid_back_before_anything_can_be_taken():
    rate = Rate(60, now=0.0)
    rate.take(90, 0.0)
    assert rate.left(0.0) == -30.0
    assert rate.wait_s(1, 0.0) == 31.0
    assert rate.full_s(0.0) == 90.0


def test_more_than_a_minutes_worth_never_comes():
    assert Rate(60, now=0.0).wait_s(61, 0.0) == math.inf


def test_what_is_given_back_is_not_saved_beyond_a_minutes_worth():
    rate = Rate(60, now=0.0)
    rate.take(10, 0.0)
    rate.take(-50, 0.0)
    assert rate.left(0.0) == 60.0


def test_a_clock_that_goes_back_gives_nothing():
    rate = Rate(60, now=100.0)
    rate.take(60, 100.0)
    assert rate.left(90.0) == 0.0
    assert rate.left(101.0) == 1.0


@given(
    per_minute=st.integers(1, 1000),
    steps=st.lists(st.tuples(st.floats(0, 90), st.integers(1, 50)), max_size=80),
)
def test_no_more_than_a_burst_and_the_rate_gets_through(per_minute: int, steps: list[tuple[float, int]]):
    rate, now, taken = Rate(per_minute, now=0.0), 0.0, 0
    for pause, amount in steps:
        now += pause
        if rate.wait_s(amount, now) == 0:
            rate.take(amount, now)
            taken += amount
    assert taken <= per_minute + now * per_minute / 60 + 1e-6


@given(per_minute=st.integers(1, 1000), amount=st.integers(1, 1000), taken=st.integers(0, 3000))
def test_after_the_wait_it_can_be_taken(per_minute: int, amount: int, taken: int):
    rate = Rate(per_minute, now=0.0)
    rate.take(taken, 0.0)
    wait_s = rate.wait_s(amount, 0.0)
    assert (wait_s == math.inf) == (amount > per_minute)
    if wait_s < math.inf:
        assert rate.wait_s(amount, wait_s + 1e-6) < 1e-3


def test_an_account_without_limits_refuses_nothing():
    account = Account(Limits("the box"), 0.0)
    for _ in range(1000):
        account.check_request(0.0)
        account.begin(0.0)
    account.check_tokens(10**9, "prompt", 0.0)
    account.take_tokens(10**9, 0.0)
    account.check_request(0.0)


def test_a_refusal_says_which_limit_its_value_and_when_to_come_again():
    account = Account(Limits("this principal", requests_per_minute=2), 0.0)
    for _ in range(2):
        account.check_request(0.0)
        account.begin(0.0)
    with refused(LimitError, "this principal", 2, "requests_per_minute") as caught:
        account.check_request(0.0)
    assert caught.value.retry_after_s == 30
    account.check_request(30.0)


def test_requests_that_ended_make_room():
    account = Account(Limits("the box", max_requests=1), 0.0)
    account.begin(0.0)
    with refused(LimitError, "the box", 1, "max_requests"):
        account.check_request(0.0)
    account.end()
    account.check_request(0.0)


def test_a_prompt_that_could_never_be_taken_is_no_matter_of_waiting():
    account = Account(Limits("the box", tokens_per_minute=100), 0.0)
    with refused(PromptTooLongError, 101) as caught:
        account.check_tokens(101, "messages", 0.0)
    assert caught.value.param == "messages"


def test_an_account_in_debt_takes_no_request():
    account = Account(Limits("the box", tokens_per_minute=60), 0.0)
    account.take_tokens(120, 0.0)
    with pytest.raises(LimitError) as caught:
        account.check_request(0.0)
    assert caught.value.retry_after_s == 61
    account.check_request(61.0)
    assert not account.is_untouched(61.0)
    assert account.is_untouched(180.0)
