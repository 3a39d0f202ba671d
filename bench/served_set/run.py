"""Measures what an embedding model costs the chat model beside it, and how fast it is itself."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from appliance.address import Address
from bench.served_set.box import SetBox
from bench.workers.http_client import Client
from bench.workers.timeline import Timeline, decode_rate

Say = Callable[[str], None]
_PROMPT_TOKENS = 128
_WARM_UP_TOKENS = 8
_TEXT_TOKENS = 128
_BATCH = 32
# Beginning and end of a text.
_SPECIAL_TOKENS = 2
_WORD = "oil "


@dataclass(frozen=True)
class Policy:
    """How the models share the cores.

    Attributes:
        name: to print.
        chat, embedder: the threads of each; None: one for each physical core.
    """

    name: str
    chat: int | None = None
    embedder: int | None = None


@dataclass(frozen=True)
class Options:
    """What is measured.

    Attributes:
        chat, embedder: the models' names.
        policies: each is measured in each round.
        rounds: how often.
        tokens: tokens of a completion.
        embedding_s: seconds of the measurement of embeddings alone.
    """

    chat: str
    embedder: str
    policies: Sequence[Policy]
    rounds: int = 3
    tokens: int = 192
    embedding_s: float = 10.0


@dataclass
class Measured:
    """The figures of one policy, one of each for each round.

    Attributes:
        alone, idle, busy: tokens/s of one stream: without the embedder, beside an idle one, beside one at full load.
        alone_gaps, busy_gaps: seconds between two tokens, of all rounds.
        texts, texts_beside: texts/s of the embedder alone, and beside the stream.
        overhead_bytes: resident memory of the embedder's process without its weights.
    """

    alone: list[float] = field(default_factory=list)
    idle: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    alone_gaps: list[float] = field(default_factory=list)
    busy_gaps: list[float] = field(default_factory=list)
    texts: list[float] = field(default_factory=list)
    texts_beside: list[float] = field(default_factory=list)
    overhead_bytes: list[int] = field(default_factory=list)


class Load:
    """A client that computes embeddings without a pause, in the block."""

    def __init__(self, url: str, model: str) -> None:
        texts = [_WORD * (_TEXT_TOKENS - _SPECIAL_TOKENS)] * _BATCH
        self._body = {"model": model, "input": texts, "encoding_format": "base64"}
        self._client = httpx.Client(base_url=url, timeout=600.0, trust_env=False)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.texts = 0

    def once(self) -> None:
        """Compute one batch.

        Raises:
            HTTPStatusError: the box refused it.
        """
        answer = self._client.post("/v1/embeddings", json=self._body).raise_for_status().json()
        if answer["usage"]["prompt_tokens"] != _BATCH * _TEXT_TOKENS:
            raise RuntimeError(f"the texts have {answer['usage']['prompt_tokens']} tokens together")
        self.texts += _BATCH

    def __enter__(self) -> Load:  # noqa: PYI034 - Self came with Python 3.11
        self.once()
        self.texts = 0
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._client.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            self.once()


def measure(
    artefacts: Mapping[str, Path], weights_bytes: int, engines: Path, options: Options, say: Say
) -> dict[str, Measured]:
    """Measure all policies, one after the other, in each round.

    Args:
        artefacts: the folders of both models.
        weights_bytes: the size of the embedder's weights.
        engines: the folder with the packed graphs of an earlier box.
        options: see Options.
        say: receives progress.
    """
    measured = {policy.name: Measured() for policy in options.policies}
    for number in range(options.rounds):
        for policy in options.policies:
            say(f"round {number + 1} of {options.rounds}: {policy.name}")
            threads = {options.chat: policy.chat, options.embedder: policy.embedder}
            own = {name: count for name, count in threads.items() if count is not None}
            found = measured[policy.name]
            chat_only = {options.chat: artefacts[options.chat]}
            with SetBox(chat_only, own, engines) as box:
                timeline = _stream(box, options)
            found.alone.append(_rate(timeline))
            found.alone_gaps += _gaps(timeline)
            with SetBox(artefacts, own, engines) as box:
                found.idle.append(_rate(_stream(box, options)))
                _embed(box, options, found)
                found.overhead_bytes.append(box.process(options.embedder).memory_info().rss - weights_bytes)
    return measured


def _embed(box: SetBox, options: Options, found: Measured) -> None:
    with Load(box.state.url, options.embedder) as load:
        began = time.perf_counter()
        time.sleep(options.embedding_s)
        found.texts.append(load.texts / (time.perf_counter() - began))
        before, began = load.texts, time.perf_counter()
        timeline = _stream(box, options)
        found.texts_beside.append((load.texts - before) / (time.perf_counter() - began))
    found.busy.append(_rate(timeline))
    found.busy_gaps += _gaps(timeline)


def _stream(box: SetBox, options: Options) -> Timeline:
    """The second of two completions: the first one warms up."""
    address = Address.from_text(box.state.http)
    client = Client(address.host, address.port, options.chat)

    async def completed() -> Timeline:
        prompt = list(range(_PROMPT_TOKENS))
        await client.complete(prompt, _WARM_UP_TOKENS)
        # Another beginning: the first prompt is in the cache.
        return await client.complete(prompt[::-1], options.tokens)

    return asyncio.run(completed())


def _rate(timeline: Timeline) -> float:
    rate = decode_rate([timeline])
    if rate is None:
        raise RuntimeError("the completion arrived at once")
    return rate


def _gaps(timeline: Timeline) -> list[float]:
    times = [at for at, _ in timeline]
    return [later - earlier for earlier, later in itertools.pairwise(times)]


def percentile(values: Sequence[float], share: int) -> float:
    """A percentile of several values; the only value if there is one."""
    return statistics.quantiles(values, n=100)[share - 1] if len(values) > 1 else values[0]
