"""Runs that overlap, in one session and in two, do not disturb each other."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from tests.ops.caches import Heads, cache
from tests.ops.matrices import matmul_node
from tests.ops.reference import Floats, quantised
from tests.ops.sessions import session

ROUNDS = 30


def repeated(act: Callable[[], Floats], expected: Floats) -> bool:
    return all((act() == expected).all() for _ in range(ROUNDS))


def test_runs_overlap_in_one_session_and_in_two(ops_library: str):
    node = matmul_node(quantised(np.random.default_rng(0), 300, 512, 64, 4, offsets=True), 64)
    batches = [
        np.random.default_rng(i).standard_normal((rows, 512)).astype(np.float32) for i, rows in enumerate((1, 9, 60))
    ]
    sessions = [session(node, {"x": batches[0]}, ops_library, threads=threads) for threads in (1, 3)]
    expected = [sessions[0].run(None, {"x": batch})[0] for batch in batches]
    with ThreadPoolExecutor(6) as threads:
        outcomes = [
            threads.submit(repeated, lambda made=made, batch=batch: made.run(None, {"x": batch})[0], result)
            for made in sessions
            for batch, result in zip(batches, expected, strict=True)
        ]
        assert all(outcome.result() for outcome in outcomes)


def test_attention_overlaps_in_two_sessions(ops_library: str):
    heads = Heads(14, 2, 64)
    rows = heads.rows(2, 100)
    expected = cache(heads, 2, ops_library).step(rows, [99, 99])
    slots = [cache(heads, 2, ops_library, threads=threads) for threads in (1, 2)]
    with ThreadPoolExecutor(2) as threads:
        outcomes = [threads.submit(repeated, lambda one=one: one.step(rows, [99, 99]), expected) for one in slots]
        assert all(outcome.result() for outcome in outcomes)
