"""The pooling engine on a real session: rows in the order of the texts, whatever else is computed meanwhile."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from appliance.engine.pooling_engine import PoolingEngine, PoolingTask, Rows
from appliance.errors import (
    ApplianceError,
    DeadlineError,
    EngineError,
    IntegrityError,
    OverloadedError,
    RequestError,
    UnavailableError,
    UnsupportedError,
)
from appliance.inference.config import EngineConfig
from appliance.inference.events import FinishReason
from tests.cross_encoders import PAIRS, make_tiny_reranker
from tests.encoders import HIDDEN, TEXTS
from tests.refusals import refused
from tests.tiny_artefact import make_tiny_artefact
from tests.tiny_embedder import MAX_TOKENS, make_tiny_embedder
from tests.waiting import LIMIT_S, wait_until

CONFIG = EngineConfig(slots=2, max_queue=2, threads=1)
FULL = CONFIG.slots + CONFIG.max_queue


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_embedder(tmp_path_factory.mktemp("embedder") / "artefact")


@pytest.fixture
def embedder(artefact: Path) -> Iterator[PoolingEngine]:
    embedder = PoolingEngine.load(artefact, CONFIG)
    yield embedder
    embedder.close()


class Gate:
    """A session that waits before each run until the test lets it go on, and can fail."""

    def __init__(self, embedder: PoolingEngine) -> None:
        self._session = embedder._session
        self.may_run = threading.Event()
        self.sizes: list[int] = []
        self.fault: Exception | None = None
        embedder._session = self

    def run(self, names: Any, inputs: dict[str, Any]) -> Any:
        assert self.may_run.wait(LIMIT_S)
        self.sizes.append(len(inputs["lengths"]))
        if self.fault is not None:
            raise self.fault
        return self._session.run(names, inputs)


def submit(
    embedder: PoolingEngine, texts: Any, timeout_s: float = LIMIT_S
) -> tuple[PoolingTask, queue.SimpleQueue[Any]]:
    results: queue.SimpleQueue[Rows | ApplianceError] = queue.SimpleQueue()
    return embedder.submit(texts, timeout_s, results.put), results


def vectors(embedder: PoolingEngine, texts: Any) -> Rows:
    found = submit(embedder, texts)[1].get(timeout=LIMIT_S)
    assert isinstance(found, np.ndarray), found
    return found


def test_each_vector_is_that_of_its_text_alone(embedder: PoolingEngine):
    together = vectors(embedder, TEXTS)
    assert together.shape == (len(TEXTS), HIDDEN)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    for text, vector in zip(TEXTS, together, strict=True):
        assert np.allclose(vectors(embedder, [text])[0], vector, atol=1e-5)


def test_requests_that_wait_are_computed_together(embedder: PoolingEngine):
    gate = Gate(embedder)
    _, first = submit(embedder, TEXTS[:1])
    wait_until(lambda: embedder.stats().slots_busy == 1)
    others = [submit(embedder, TEXTS[1:])[1] for _ in range(2)]
    gate.may_run.set()
    found = [one.get(timeout=LIMIT_S) for one in (first, *others)]
    assert [each.shape for each in found] == [(1, HIDDEN), (3, HIDDEN), (3, HIDDEN)]
    assert gate.sizes == [1, 6]
    assert np.array_equal(found[1], found[2])
    stats = embedder.stats()
    assert (stats.steps_total, stats.requests_total[FinishReason.STOP], stats.queue_length) == (2, 3, 0)
    assert stats.prompt_tokens_total == sum(map(len, [TEXTS[0], *TEXTS[1:], *TEXTS[1:]]))


def test_what_the_model_cannot_embed_is_refused(embedder: PoolingEngine):
    for texts in ([], [[]], [[2] * (MAX_TOKENS + 1)], [[2, 50]], [[-1]]):
        with refused(RequestError):
            submit(embedder, texts)
    assert embedder.stats().requests_total == dict.fromkeys(FinishReason, 0)


def test_too_many_requests_are_refused_and_those_that_wait_end_with_the_model(embedder: PoolingEngine):
    gate = Gate(embedder)
    waiting = [submit(embedder, TEXTS[:1])[1] for _ in range(FULL)]
    with refused(OverloadedError):
        submit(embedder, TEXTS[:1])
    closing = threading.Thread(target=embedder.close)
    closing.start()
    wait_until(lambda: not embedder.stats().accepts_requests)
    gate.may_run.set()
    closing.join(LIMIT_S)
    found = [one.get(timeout=LIMIT_S) for one in waiting]
    assert {type(one) for one in found} <= {np.ndarray, UnavailableError}
    with refused(UnavailableError):
        submit(embedder, TEXTS[:1])


def test_a_cancelled_request_is_not_computed_and_a_late_one_is_told(embedder: PoolingEngine):
    gate = Gate(embedder)
    _, first = submit(embedder, TEXTS[:1])
    wait_until(lambda: embedder.stats().slots_busy == 1)
    gone, silent = submit(embedder, TEXTS[1:])
    _, late = submit(embedder, TEXTS[1:2], timeout_s=0.0)
    embedder.cancel(gone)
    embedder.cancel(gone)
    gate.may_run.set()
    assert isinstance(late.get(timeout=LIMIT_S), DeadlineError)
    first.get(timeout=LIMIT_S)
    vectors(embedder, TEXTS[:1])
    assert silent.empty()
    finished = embedder.stats().requests_total
    assert (finished[FinishReason.CANCELLED], finished[FinishReason.DEADLINE]) == (1, 1)


def test_a_batch_that_fails_fails_its_requests_alone(embedder: PoolingEngine):
    gate = Gate(embedder)
    gate.fault = RuntimeError("no memory")
    gate.may_run.set()
    failed = submit(embedder, TEXTS)[1].get(timeout=LIMIT_S)
    assert type(failed) is EngineError
    gate.fault = None
    assert vectors(embedder, TEXTS).shape == (len(TEXTS), HIDDEN)


def test_a_damaged_artefact_and_one_of_another_task_are_refused(tmp_path: Path):
    damaged = make_tiny_embedder(tmp_path / "damaged")
    with (damaged / "model.onnx.data").open("r+b") as stream:
        stream.write(b"\xff")
    with pytest.raises(IntegrityError):
        PoolingEngine.load(damaged, CONFIG)
    text = make_tiny_artefact(tmp_path / "text", tmp_path / "scratch")
    with refused(UnsupportedError, "embedding"):
        PoolingEngine.load(text, CONFIG)


@pytest.fixture(params=["bert", "xlm-roberta"])
def reranker(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[PoolingEngine, Any]]:
    """The engine with a reranker, and pairs for it."""
    engine = PoolingEngine.load(make_tiny_reranker(tmp_path / "reranker", model_type=request.param), CONFIG)
    yield engine, PAIRS[request.param]
    engine.close()


def logits(engine: PoolingEngine, pairs: Any) -> Rows:
    results: queue.SimpleQueue[Rows | ApplianceError] = queue.SimpleQueue()
    texts, first_lengths = zip(*pairs, strict=True)
    engine.submit(texts, LIMIT_S, results.put, first_lengths)
    found = results.get(timeout=LIMIT_S)
    assert isinstance(found, np.ndarray), found
    return found


def test_each_logit_is_that_of_its_pair_alone(reranker: tuple[PoolingEngine, Any]):
    engine, pairs = reranker
    together = logits(engine, pairs)
    assert together.shape == (len(pairs), 1)
    assert len(set(together.ravel().tolist())) == len(pairs)
    for pair, logit in zip(pairs, together, strict=True):
        assert np.allclose(logits(engine, [pair]), logit, atol=1e-5)


def test_pairs_without_a_second_text_are_refused(reranker: tuple[PoolingEngine, Any], embedder: PoolingEngine):
    engine, ((ids, _), *_) = reranker
    for first_lengths in ([], [2, 2], [0], [len(ids)]):
        with refused(RequestError):
            engine.submit([ids], LIMIT_S, lambda _: None, first_lengths)
    with refused(RequestError):
        embedder.submit(TEXTS[:1], LIMIT_S, lambda _: None, [2])
