"""The shim's sender, without Triton: which thread sends and asks, which Triton's backend is particular about."""

from __future__ import annotations

import importlib
import sys
import threading
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from appliance.errors import OverloadedError
from tests.waiting import wait_until

SHIM = Path(__file__).resolve().parents[2] / "model_repository" / "text_generation" / "1"


@pytest.fixture
def shim(monkeypatch: pytest.MonkeyPatch):
    """The shim's `sender` module over a stand-in for what Triton puts into its process."""
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", MagicMock(TRITONSERVER_RESPONSE_COMPLETE_FINAL=1))
    monkeypatch.syspath_prepend(str(SHIM))
    yield importlib.import_module("sender")
    for name in ("sender", "wire"):
        sys.modules.pop(name, None)


class ResponseSender:
    """Notes who sends and asks, as Triton's own response sender is used."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    def send(self, _response: object, flags: int) -> None:
        self.calls.append(("final" if flags else "piece", threading.current_thread().name))

    def is_cancelled(self) -> bool:
        self.calls.append(("asked", threading.current_thread().name))
        return False


def test_a_refused_request_is_ended_by_the_thread_that_asks_about_it_and_not_asked_about_again(shim):
    sender = shim.Sender(lambda _request: None)
    refused, waiting = ResponseSender(), ResponseSender()
    first, second = (
        shim.Answer(name, response, MagicMock(stream=True), MagicMock())
        for name, response in (("1", refused), ("2", waiting))
    )
    sender.open(first)
    sender.open(second)
    wait_until(lambda: refused.calls and waiting.calls)
    sender.refuse(first, OverloadedError("the queue is full"))
    wait_until(lambda: any(what == "final" for what, _ in refused.calls))
    seen = len(waiting.calls)
    # The other one is asked about twice more, so the refused one would have been too.
    wait_until(lambda: len(waiting.calls) >= seen + 2)
    sender.close()
    assert refused.calls[-1] == ("final", "sender")
    assert {thread for _, thread in refused.calls} == {"sender"}
