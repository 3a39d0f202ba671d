"""The crowd: well-behaved clients that repeat their question and check each answer. It does not start the box."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any

from appliance.within import within
from bench.soak.connection import BrokenError, Connection
from bench.soak.question import Question, others_in
from bench.soak.tally import Fate, Tally

_OK = 200
_LEAVE_EVERY = 11
# Time limit for one answer; a request that takes longer counts as lost.
_LIMIT_S = 300.0
_PROBE_PAUSE_S = 0.1
_PATH = "/v1/completions"


class Crowd:
    """Each client has one question and repeats it until the time is over; running requests are then finished."""

    def __init__(self, host: str, port: int, questions: Sequence[Question], tally: Tally) -> None:
        self._address = (host, port)
        self._questions = questions
        self._tally = tally
        self._alone: Mapping[str, str] = {}

    async def learn(self) -> None:
        """Ask each question alone, to get the expected answers.

        Raises:
            ValueError: the answer lacks the marker even without other clients.
        """
        alone = {}
        with closing(Connection(*self._address)) as connection:
            for question in self._questions:
                answer = await connection.ask("POST", _PATH, _body(question, stream=False))
                body = await answer.rest()
                text = _whole_text(body) if answer.status == _OK else body.decode()
                if question.marker not in text or others_in(text, question, self._questions):
                    raise ValueError(f"{question.marker} does not come back even alone, but {text!r}")
                alone[question.marker] = text
        self._alone = alone

    async def run(self, is_over: Callable[[], bool]) -> None:
        """Ask until `is_over`, which is called before each question."""
        await asyncio.gather(*(self._client(question, is_over) for question in self._questions), self._probe(is_over))

    async def _client(self, question: Question, is_over: Callable[[], bool]) -> None:
        # Random times, different for each client; not a secret.
        chance = random.Random(question.marker)  # noqa: S311
        count = chance.randrange(_LEAVE_EVERY)
        with closing(Connection(*self._address)) as connection:
            while not is_over():
                count += 1
                try:
                    fate, wait_s = await within(_LIMIT_S, self._ask(connection, question, count))
                except (BrokenError, asyncio.TimeoutError) as error:
                    connection.close()
                    self._tally.broken = self._tally.broken or str(error) or f"no end within {_LIMIT_S:g} s"
                    fate, wait_s = Fate.LOST, 0.0
                self._tally.fates[fate] += 1
                await asyncio.sleep(wait_s * chance.uniform(0.5, 1.0))

    async def _ask(self, connection: Connection, question: Question, count: int) -> tuple[Fate, float]:
        """Ask once. Return the request's fate, and the seconds that the box asks the client to wait."""
        leaves, stream = count % _LEAVE_EVERY == 0, count % 2 == 0
        began = time.perf_counter()
        answer = await connection.ask("POST", _PATH, _body(question, stream=stream or leaves))
        body = await answer.piece()
        if answer.status != _OK:
            return self._refused(answer.status, body + await answer.rest()), float(
                answer.headers.get("retry-after", "1")
            )
        if leaves:
            connection.close()
            return Fate.LEFT, 0.0
        self._tally.first_s.append(time.perf_counter() - began)
        body += await answer.rest()
        return self._judge(question, _streamed_text(body) if stream else _whole_text(body)), 0.0

    def _refused(self, status: int, body: bytes) -> Fate:
        self._tally.refusals[status] += 1
        try:
            return Fate.REFUSED if json.loads(body)["error"]["message"] else Fate.LOST
        except (ValueError, KeyError, TypeError):
            self._tally.broken = self._tally.broken or f"status {status} without a reason"
            return Fate.LOST

    def _judge(self, question: Question, text: str) -> Fate:
        if others_in(text, question, self._questions):
            return Fate.CROSSED
        if question.marker not in text:
            return Fate.UNMARKED
        self._tally.other_than_alone += text != self._alone[question.marker]
        return Fate.OWN

    async def _probe(self, is_over: Callable[[], bool]) -> None:
        """Send the cheapest request repeatedly: rejected and waiting requests must not delay others."""
        with closing(Connection(*self._address)) as connection:
            while not is_over():
                began = time.perf_counter()
                answer = await connection.ask("GET", "/v1/models")
                await answer.rest()
                if answer.status == _OK:
                    self._tally.beside_s.append(time.perf_counter() - began)
                await asyncio.sleep(_PROBE_PAUSE_S)


def _body(question: Question, *, stream: bool) -> bytes:
    return json.dumps({**question.body, "stream": stream}).encode()


def _whole_text(document: bytes) -> str:
    text: str = json.loads(document)["choices"][0]["text"]
    return text


def _streamed_text(stream: bytes) -> str:
    """The text of a stream.

    Raises:
        BrokenError: the stream is incomplete.
    """
    events = [line[len("data: ") :] for line in stream.decode().split("\n") if line.startswith("data: ")]
    if not events or events[-1] != "[DONE]":
        raise BrokenError(f"a stream's last event was {events[-1] if events else 'none at all'}")
    said: list[Any] = [json.loads(event) for event in events[:-1]]
    return "".join(one["choices"][0]["text"] for one in said if one.get("choices"))
