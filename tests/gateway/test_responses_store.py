"""What is kept of answers: whose, how long, how many, how much."""

from __future__ import annotations

import pytest

from appliance.gateway.openai.responses.store import Bounds, KeptResponse, ResponseStore
from appliance.gateway.refusals import UnknownResponseError


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def kept(size: int = 10) -> KeptResponse:
    return KeptResponse(b"x" * size, [], [], [])


def test_an_answer_comes_back_to_its_own_principal_alone():
    store = ResponseStore(Bounds(), Clock())
    store.keep("a", "resp_1", kept())
    assert store.get("a", "resp_1") == kept()
    with pytest.raises(UnknownResponseError):
        store.get("b", "resp_1")
    with pytest.raises(UnknownResponseError):
        store.delete("b", "resp_1")
    assert len(store) == 1


def test_an_answer_is_forgotten_after_its_time():
    clock = Clock()
    store = ResponseStore(Bounds(ttl_s=60), clock)
    store.keep("a", "resp_1", kept())
    clock.now = 59.9
    assert store.get("a", "resp_1")
    clock.now = 60.0
    with pytest.raises(UnknownResponseError):
        store.get("a", "resp_1")
    assert (len(store), store.size_bytes) == (0, 0)


def test_a_deleted_answer_is_gone_and_its_room_is_free():
    store = ResponseStore(Bounds(), Clock())
    store.keep("a", "resp_1", kept())
    store.delete("a", "resp_1")
    with pytest.raises(UnknownResponseError):
        store.get("a", "resp_1")
    assert store.size_bytes == 0


def test_a_principals_oldest_goes_first_when_its_number_is_reached():
    store = ResponseStore(Bounds(answers=2), Clock())
    store.keep("b", "old", kept())
    for number in range(3):
        store.keep("a", str(number), kept())
    with pytest.raises(UnknownResponseError):
        store.get("a", "0")
    assert store.get("a", "1")
    assert store.get("a", "2")
    assert store.get("b", "old")


def test_a_principal_pays_for_its_bytes_itself():
    store = ResponseStore(Bounds(principal_bytes=100), Clock())
    store.keep("b", "old", kept(60))
    store.keep("a", "1", kept(60))
    store.keep("a", "2", kept(60))
    with pytest.raises(UnknownResponseError):
        store.get("a", "1")
    assert store.get("b", "old")
    assert store.size_bytes == 120


def test_all_together_never_hold_more_than_the_total():
    store = ResponseStore(Bounds(principal_bytes=100, total_bytes=250), Clock())
    for number in range(20):
        store.keep(f"p{number}", "1", kept(60))
        assert store.size_bytes <= 250
    assert len(store) == 4
    assert store.get("p19", "1")


def test_what_is_larger_than_a_share_is_not_kept_and_pushes_nothing_out():
    store = ResponseStore(Bounds(principal_bytes=100), Clock())
    store.keep("a", "1", kept(60))
    store.keep("a", "2", kept(101))
    assert store.get("a", "1")
    with pytest.raises(UnknownResponseError):
        store.get("a", "2")


def test_the_size_counts_items_and_turns():
    response = KeptResponse(b"xx", [{"a": "b"}], [], [{"role": "user", "content": "x" * 1000}])
    assert response.size_bytes > 1000
