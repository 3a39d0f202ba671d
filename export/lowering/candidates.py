"""Extra outputs about the logits on a device: choosing a token copies a few numbers instead of a whole row.

It uses only standard operators, which every runtime supports. The log-sum-exp is written out: a runtime that computes
ReduceLogSumExp without subtracting the maximum overflows for large logits.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from export.lowering.nodes import Nodes

CANDIDATES = 64


def add_candidates(nodes: Nodes, logits: ir.Value, vocabulary: int, tokens: int) -> None:
    """Add three outputs computed from the logits of the tokenizer's tokens alone.

    `candidate_logits`, float32 [wanted, K]: the K greatest, descending; K is CANDIDATES, or `tokens` if that is less.
    `candidate_ids`, int64 [wanted, K]: their tokens; of equal logits the lesser token comes first.
    `log_normaliser`, float32 [wanted]: the logarithm of the sum of all their exponentials.

    Args:
        nodes: the graph.
        logits: float32 [wanted, vocabulary].
        vocabulary: columns of `logits`.
        tokens: number of the tokenizer's tokens; later columns have no meaning.
    """
    count = min(CANDIDATES, tokens)
    last = nodes.constant("candidates.axis", np.array([1], np.int64))
    if tokens < vocabulary:
        first = nodes.constant("candidates.first", np.array([0], np.int64))
        end = nodes.constant("candidates.end", np.array([tokens], np.int64))
        logits = nodes.node("Slice", [logits, first, end, last], "candidates.known")
    counted = nodes.constant("candidates.count", np.array([count], np.int64))
    names = ["candidates.greatest", "candidates.ids"]
    greatest, ids = nodes.node_of_many("TopK", [logits, counted], names, {"axis": 1, "largest": 1, "sorted": 1})
    leader = nodes.node("ReduceMax", [greatest, last], "candidates.leader", {"keepdims": 1})
    shifted = nodes.node("Sub", [logits, leader], "candidates.shifted")
    exponentials = nodes.node("Exp", [shifted], "candidates.exponentials")
    total = nodes.node("ReduceSum", [exponentials, last], "candidates.total", {"keepdims": 0})
    logarithm = nodes.node("Log", [total], "candidates.logarithm")
    shift = nodes.node("Squeeze", [leader, last], "candidates.shift")
    normaliser = nodes.node("Add", [logarithm, shift], "candidates.normaliser")
    nodes.output(greatest, "candidate_logits", ir.DataType.FLOAT, ["wanted", count])
    nodes.output(ids, "candidate_ids", ir.DataType.INT64, ["wanted", count])
    nodes.output(normaliser, "log_normaliser", ir.DataType.FLOAT, ["wanted"])
