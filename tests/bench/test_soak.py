"""The soak: a short one over the real engine, and that it sees what must not be."""

from __future__ import annotations

import asyncio
import json
import string
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bench.soak.crowd import Crowd
from bench.soak.page import page
from bench.soak.question import Question, copying
from bench.soak.run import SoakOptions, run_soak
from bench.soak.tally import Fate, Memory, Soaked, Tally
from tests.checkpoints import tiny_tokenizer
from tests.tiny_artefact import make_tiny_artefact

CALM = Memory(0, 0, 0)


def forced(model: str, count: int) -> list[Question]:
    """Questions that a model without any sense answers with one letter, because it is left no other."""
    tokenizer = tiny_tokenizer()
    questions = []
    for number, letter in enumerate(string.ascii_letters[:count]):
        (token,) = tokenizer.encode(letter).ids
        body = {"model": model, "prompt": f"Story {number}", "max_tokens": 6, "logit_bias": {str(token): 100}}
        questions.append(Question({**body, "temperature": 0}, letter * 6))
    return questions


def is_enough(tally: Tally) -> bool:
    """Whether everything has happened that the test asks about; in how many seconds is the machine's affair."""
    fates = (Fate.OWN, Fate.LEFT, Fate.REFUSED)
    return all(tally.fates[fate] for fate in fates) and tally.rude["too large a body: 413"] > 0


@pytest.mark.triton
def test_a_crowd_on_the_real_engine_loses_and_crosses_nothing_and_every_refusal_has_a_status(tmp_path: Path):
    artefact = make_tiny_artefact(tmp_path / "artefact", tmp_path / "scratch")
    options = SoakOptions(clients=40, slots=4, queue=8, seconds=4.0, halves=20, readers=1)
    soaked = run_soak(artefact, options, forced, lambda _line: None, is_enough)
    assert soaked.faults() == []
    fates = soaked.tally.fates
    assert min(fates[Fate.OWN], fates[Fate.LEFT], fates[Fate.REFUSED]) > 0
    assert fates[Fate.REFUSED] == soaked.tally.refusals[429] == sum(soaked.tally.refusals.values())
    assert soaked.tally.rude["too large a body: 413"] > 0
    assert soaked.gateway.before > 0
    assert "No answer was lost or crossed" in page(soaked)


def test_no_two_questions_have_a_marker_in_common():
    questions = copying("model", 1000)
    assert len({question.marker for question in questions}) == 1000
    assert all(question.marker in question.body["prompt"] for question in questions)


ONE, OTHER = Question({"prompt": "1"}, "one"), Question({"prompt": "2"}, "two")


def document(text: str) -> bytes:
    return answer(json.dumps({"choices": [{"text": text}]}).encode())


def answer(body: bytes, status: int = 200) -> bytes:
    return b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n" % (status, len(body)) + body


def stream(*events: str) -> bytes:
    return answer("".join(f"data: {event}\n\n" for event in events).encode())


class Server:
    """Speaks just enough HTTP on loopback; `say` gives the bytes of an answer, none ends the connection."""

    def __init__(self, say: Callable[[str, Any], bytes]) -> None:
        self._say = say
        self._clients: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Server:  # noqa: PYI034 - Self came with Python 3.11
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await asyncio.gather(*self._clients)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._clients.add(task)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                size = int(head.split("content-length: ")[1].split()[0])
                said = self._say(head.split()[1], json.loads(await reader.readexactly(size) or b"{}"))
                writer.write(said)
                if not said or b"connection: close" in said:
                    break
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


# So many answers of the server that lies.
_ASKED = 6


def fates_of(lie: Callable[[bool], bytes]) -> Tally:
    """What the crowd makes of a server that is right while the questions are learnt, and then lies."""
    tally, asked = Tally(), 0

    def say(path: str, body: Any) -> bytes:
        nonlocal asked
        if path == "/v1/models":
            return answer(b"{}")
        asked += 1
        return document("one" if body["prompt"] == "1" else "two") if asked <= 2 else lie(body["stream"])

    async def soak() -> None:
        async with Server(say) as server:
            crowd = Crowd("127.0.0.1", server.port, [ONE, OTHER], tally)
            await crowd.learn()
            await crowd.run(lambda: tally.requests >= _ASKED)

    asyncio.run(soak())
    return tally


CUT = b"HTTP/1.1 200 X\r\nconnection: close\r\ncontent-length: 9\r\n\r\n{"
PIECE = json.dumps({"choices": [{"text": "one two"}]})


@pytest.mark.parametrize(
    ("lie", "fate"),
    [
        (lambda streamed: stream(PIECE, "[DONE]") if streamed else document("two one"), Fate.CROSSED),
        (lambda streamed: stream("[DONE]") if streamed else document("neither"), Fate.UNMARKED),
        (lambda streamed: stream(PIECE) if streamed else CUT, Fate.LOST),
        (lambda _streamed: b"", Fate.LOST),
        (lambda _streamed: answer(b"", 429), Fate.LOST),
        (lambda _streamed: answer(b'{"error": {"message": "full"}}', 429), Fate.REFUSED),
    ],
    ids=["crossed", "unmarked", "cut", "silent", "no reason", "refused"],
)
def test_what_must_not_be_is_seen(lie: Callable[[bool], bytes], fate: Fate):
    tally = fates_of(lie)
    assert tally.fates[fate] > 0
    assert set(tally.fates) <= {fate, Fate.LEFT}
    faults = Soaked(2, 1, 1, 1.0, tally, CALM, CALM).faults()
    assert any(fate.value in fault for fault in faults) == (fate is not Fate.REFUSED)


def test_memory_that_grows_and_answers_that_differ_are_faults():
    tally = Tally(beside_s=[0.1], other_than_alone=1)
    tally.fates[Fate.OWN] = 5
    grown = Memory(0, 100 << 20, 200 << 20)
    faults = Soaked(1, 1, 1, 1.0, tally, grown, CALM).faults()
    assert len(faults) == 2
    assert "differ" in faults[0]
    assert "100 MiB" in faults[1]


def test_a_model_that_does_not_give_the_marker_back_alone_is_refused():
    async def learn() -> None:
        async with Server(lambda _path, _body: document("something else")) as server:
            await Crowd("127.0.0.1", server.port, [ONE, OTHER], Tally()).learn()

    with pytest.raises(ValueError, match="does not come back even alone"):
        asyncio.run(learn())
