"""The bystander: another principal, who asks the same again and again while the attack runs, and must get the same."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing

from tests.redteam.attack import Broke
from tests.redteam.box import AttackedBox
from tests.redteam.client import LIMIT_S, Client


class Bystander:
    """Streams one answer after the other in a thread, while the block runs; the last one is read to its end."""

    def __init__(self, box: AttackedBox) -> None:
        self._client: Client = box.victim
        self._tokens = box.bystander_tokens
        self._expected = self._answer()
        self._stopping = threading.Event()
        self._begun = threading.Event()
        self._fault = ""
        self._streams = 0
        self._longest_s = 0.0

    def __enter__(self) -> Bystander:  # noqa: PYI034 - Self came with Python 3.11
        self._thread = threading.Thread(target=self._run, name="bystander")
        self._thread.start()
        self._begun.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def check(self) -> str:
        """Say how it went.

        Raises:
            Broke: an answer did not come, or was another than without the attack.
        """
        if self._fault:
            raise Broke(f"the bystander: {self._fault}")
        return f"{self._streams} whole streams beside it, longest pause {self._longest_s * 1000:.0f} ms"

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._compare(self._answer())
        except (Broke, OSError, http.client.HTTPException, ValueError) as error:
            self._fault = f"{type(error).__name__}: {error}"
        finally:
            self._begun.set()

    def _compare(self, answer: str) -> None:
        if answer != self._expected:
            raise Broke(f"got another answer: {answer[-80:]!r}, not {self._expected[-80:]!r}")
        self._streams += 1

    def _answer(self) -> str:
        wanted = {"prompt": "Once", "max_tokens": self._tokens, "ignore_eos": True, "temperature": 0}
        body = {"model": self._client.model, **wanted, "stream": True, "stream_options": {"include_usage": True}}
        headers = {**self._client.headers, "Content-Type": "application/json"}
        with closing(http.client.HTTPConnection(self._client.http, timeout=LIMIT_S)) as connection:
            connection.request("POST", "/v1/completions", json.dumps(body), headers)
            answer = connection.getresponse()
            if answer.status != http.client.OK:
                raise Broke(f"got {answer.status} {answer.read(200)!r}")
            events = list(self._events(answer))
        tokens = [event["usage"]["completion_tokens"] for event in events if event.get("usage")]
        if tokens != [self._tokens]:
            raise Broke(f"got {tokens} tokens of {self._tokens}: {events[-1:]}")
        return "".join(choice["text"] for event in events for choice in event["choices"])

    def _events(self, answer: http.client.HTTPResponse) -> Iterator[dict]:
        before = time.monotonic()
        for line in answer:
            if not line.startswith(b"data: ") or line.startswith(b"data: [DONE]"):
                continue
            now = time.monotonic()
            if self._is_running:
                self._longest_s = max(self._longest_s, now - before)
                self._begun.set()
            before = now
            yield json.loads(line.removeprefix(b"data: "))

    @property
    def _is_running(self) -> bool:
        return hasattr(self, "_thread")
