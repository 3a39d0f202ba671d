"""A process that is forked after the operators were loaded can use them."""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Connection

import numpy as np

from tests.ops.matrices import matmul_node
from tests.ops.reference import quantised
from tests.ops.sessions import Node, run

NODE = matmul_node(quantised(np.random.default_rng(0), 300, 512, 64, 8, offsets=False), 64)
ROWS = np.random.default_rng(1).standard_normal((9, 512)).astype(np.float32)


def _compute(node: Node, library: str, end: Connection) -> None:
    end.send_bytes(run(node, {"x": ROWS}, library, threads=2).tobytes())


def test_a_forked_process_computes_the_same(ops_library: str):
    expected = run(NODE, {"x": ROWS}, ops_library, threads=2)
    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe(duplex=False)
    child = fork.Process(target=_compute, args=(NODE, ops_library, theirs))
    child.start()
    theirs.close()
    assert ours.recv_bytes() == expected.tobytes()
    child.join()
    assert child.exitcode == 0
