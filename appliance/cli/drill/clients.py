"""Clients that ask a route without a pause while it is rehearsed, and note what each of them saw."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import grpc

from appliance.cli.door import Door
from appliance.gateway.proto.appliance.v1 import inference_pb2 as pb
from appliance.gateway.proto.appliance.v1.inference_pb2_grpc import InferenceServiceStub

# The longest conversation, in turns; a longer one starts again.
_TURNS = 8
_TOKENS = 4
# A client that was refused asks again after this pause, as the box tells it to wait.
_PAUSE_S = 0.1


@dataclass(frozen=True)
class Seen:
    """What a client saw of one request.

    Attributes:
        begun_at, ended_at: monotonic seconds.
        model: the model that answered; empty if the request failed.
        error: the failure; empty if the request was answered.
        turns: earlier turns of its conversation.
    """

    begun_at: float
    ended_at: float
    model: str
    error: str
    turns: int


class Clients:
    """Several clients, each in a conversation of its own, as long as the block runs."""

    def __init__(self, door: Door, route: str, number: int, deadline_s: float) -> None:
        """Take the gateway's address, the route, and the deadline of each request in seconds."""
        self._door = door
        self._route = route
        self._deadline_s = deadline_s
        self._stop = threading.Event()
        self._new = threading.Condition()
        self._seen: list[Seen] = []
        self._threads = [threading.Thread(target=self._converse, name=f"client-{n}") for n in range(number)]

    def __enter__(self) -> Clients:  # noqa: PYI034 - Self came with Python 3.11
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def seen(self) -> tuple[Seen, ...]:
        """What the clients have seen so far, in the order of the ends."""
        with self._new:
            return tuple(self._seen)

    def wait_for(self, is_wanted: Callable[[Seen], bool], since: float, limit_s: float) -> Seen | None:
        """Wait for a request that ended after `since`; None if none came within `limit_s` seconds."""
        found: list[Seen] = []

        def look() -> bool:
            found[:] = [one for one in self._seen if one.ended_at > since and is_wanted(one)][:1]
            return bool(found)

        with self._new:
            self._new.wait_for(look, limit_s)
        return found[0] if found else None

    def _converse(self) -> None:
        messages: list[pb.Message] = []
        with self._door.channel() as channel:
            stub = InferenceServiceStub(channel)  # type: ignore[no-untyped-call]
            while not self._stop.is_set():
                seen, text = self._ask(stub, messages)
                if text:
                    messages.append(pb.Message(role="assistant", content=text))
                else:
                    messages.clear()
                if len(messages) >= 2 * _TURNS:
                    messages.clear()
                with self._new:
                    self._seen.append(seen)
                    self._new.notify_all()
                if seen.error:
                    self._stop.wait(_PAUSE_S)

    def _ask(self, stub: InferenceServiceStub, messages: list[pb.Message]) -> tuple[Seen, str]:
        turns = len(messages) // 2
        messages.append(pb.Message(role="user", content=f"Name the number {turns + 1}."))
        sampling = pb.Sampling(max_tokens=_TOKENS, temperature=0.0)
        request = pb.ChatRequest(model=self._route, messages=messages, sampling=sampling)
        begun_at = time.monotonic()
        call = stub.Chat(request, metadata=self._door.metadata, timeout=self._deadline_s)
        try:
            text = "".join(chunk.text for chunk in call)
        except grpc.RpcError as error:
            reason = error.details() or str(error.code())
            return Seen(begun_at, time.monotonic(), "", reason, turns), ""
        model = dict(call.trailing_metadata()).get("appliance-model", "")
        return Seen(begun_at, time.monotonic(), model, "", turns), text
