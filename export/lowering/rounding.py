"""Makes a graph of 32-bit floats compute like a graph of a shorter type, except for rounding inside an operator."""

from __future__ import annotations

import onnx_ir as ir

# These operators move values without computing: their results are rounded already.
_MOVERS = frozenset({"Gather", "Reshape", "Split"})


def round_results(graph: ir.Graph, dtype: ir.DataType, *, until: str) -> None:
    """Round the results of all nodes before the node with the output `until` to `dtype` and back.

    Outputs of the graph stay unchanged: the attention writes only rounded values into the cache.

    Args:
        graph: changed in place; all results of these nodes are float32, except the second output of TopK.
        dtype: bfloat16 or float16.
        until: the output at which rounding ends.
    """
    outputs = set(graph.outputs)
    for node in tuple(graph):
        if any(value.name == until for value in node.outputs):
            return
        if node.op_type in _MOVERS:
            continue
        for index, value in enumerate(node.outputs):
            if not value.name or value in outputs or (node.op_type == "TopK" and index):
                continue
            users = tuple(value.uses())
            rounded = _cast(f"{value.name}.rounded", value, dtype)
            again = _cast(f"{value.name}.float", rounded.outputs[0], ir.DataType.FLOAT)
            graph.insert_after(node, (rounded, again))
            for user, position in users:
                user.replace_input_with(position, again.outputs[0])
    raise ValueError(f"no node gives {until!r}")


def _cast(name: str, value: ir.Value, dtype: ir.DataType) -> ir.Node:
    return ir.node("Cast", [value], {"to": int(dtype)}, outputs=[ir.Value(name=name)], name=name)
