"""Rewrites a graph for the appliance's operators, with the same weights: docs/formats/packed.md specifies the result.

| nodes of the portable graph | operator |
|---|---|
| MatMulNBits | MatMulPacked |
| MatMulNBits (gate), MatMulNBits (up), QuickGelu, Mul | MatMulPacked, gated |
| MatMulNBits, TopK, GatherBlockQuantized, Unsqueeze, MatMul, Squeeze, ScatterElements | RescoredHead |
| GroupQueryAttention | SlotAttention |

A node that no operator supports stays as it is. ListCandidates is added to the logits.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import onnx
from numpy.typing import NDArray
from onnx import helper

from appliance.ops.packing import pack, pack_bias
from appliance.packed.matrix import Matrix, attributes
from appliance.packed.tensors import GraphTensors, TensorFile

DOMAIN = "appliance"
VERSION = 1
OPERATORS = frozenset({"ListCandidates", "MatMulPacked", "RescoredHead", "SlotAttention"})
# Tokens that ListCandidates lists for each row.
CANDIDATES = 64
# Names of the graph's metadata entries: how many rows of the cache form one block, and whether the bits of a row never
# depend on its batch.
CACHE_BLOCK, EXACT_ROWS = "cache_block_rows", "exact_rows"
CACHE_BLOCK_ROWS = 64
HEAD_DIMS = frozenset({64, 80, 96, 128, 256})
# In ONNX Runtime's kernels of these operators, no row depends on another row or on their number.
_ROW_BY_ROW = frozenset(
    {
        "Gather",
        "GatherBlockQuantized",
        "Mul",
        "Reshape",
        "SimplifiedLayerNormalization",
        "SkipSimplifiedLayerNormalization",
        "Split",
    }
)
# SlotAttention has no others, such as a window or a cap of the scores.
_ATTENTION_ATTRIBUTES = {"num_heads", "kv_num_heads", "do_rotary", "rotary_interleaved", "scale"}
# RescoredHead: bits of the coarse weights, and of the finer rows.
_HEAD_BITS, _TABLE_BITS = 4, 8
# It has no bias.
_HEAD_TENSORS = 3
# The nodes that one operator replaces, in the order of the portable graph, and the operator.
_Replacement = tuple[tuple[onnx.NodeProto, ...], onnx.NodeProto]


def rewrite(model: onnx.ModelProto, tensors: GraphTensors, file: TensorFile, tokens: int) -> onnx.ModelProto | None:
    """Return the packed graph; its tensors are appended to `file`. None if no operator supports a node.

    Args:
        model: a checked graph, see `check_graph`.
        tensors: its initialisers.
        file: the new graph's tensors.
        tokens: number of the tokenizer's tokens; the logits of later columns have no meaning.
    """
    rewriter = _Rewriter(model.graph, tensors, file)
    nodes = list(rewriter.nodes())
    ours = {node.op_type for node in nodes if node.domain == DOMAIN}
    if not ours:
        return None
    is_exact = {node.op_type for node in nodes if node.domain != DOMAIN} <= _ROW_BY_ROW
    candidates, outputs = _candidates(tokens)
    nodes.append(candidates)
    for node in nodes:
        for name in node.input:
            if name in tensors:
                file.append(name, tensors[name])
    outputs = [*model.graph.output, *outputs]
    graph = helper.make_graph(nodes, model.graph.name, model.graph.input, outputs, list(file.initialisers.values()))
    opsets = [*model.opset_import, helper.make_opsetid(DOMAIN, VERSION)]
    packed = helper.make_model(graph, opset_imports=opsets, ir_version=model.ir_version)
    block = CACHE_BLOCK_ROWS if "SlotAttention" in ours else 1
    helper.set_model_props(packed, {CACHE_BLOCK: str(block), EXACT_ROWS: str(int(is_exact))})
    return packed


def cache_block_rows(metadata: Mapping[str, str]) -> int:
    """Rows of the cache that form one block, given a graph's metadata; 1 for a portable graph."""
    return int(metadata.get(CACHE_BLOCK, 1))


def has_exact_rows(metadata: Mapping[str, str]) -> bool:
    """Whether a graph with this metadata computes each row with the same bits in any batch, by construction."""
    return metadata.get(EXACT_ROWS) == "1"


def _candidates(tokens: int) -> tuple[onnx.NodeProto, list[onnx.ValueInfoProto]]:
    """The node that lists the likeliest tokens of each row, and the outputs that it adds (docs/graph.md)."""
    count = min(CANDIDATES, tokens)
    outputs = [
        helper.make_tensor_value_info("candidate_ids", onnx.TensorProto.INT64, ["wanted", count]),
        helper.make_tensor_value_info("candidate_logits", onnx.TensorProto.FLOAT, ["wanted", count]),
        helper.make_tensor_value_info("log_normaliser", onnx.TensorProto.FLOAT, ["wanted"]),
    ]
    names = [value.name for value in outputs]
    node = helper.make_node(
        "ListCandidates", ["logits"], names, "candidates", domain=DOMAIN, tokens=tokens, count=count
    )
    return node, outputs


class _Rewriter:
    def __init__(self, graph: onnx.GraphProto, tensors: GraphTensors, file: TensorFile) -> None:
        self._graph = graph
        self._tensors = tensors
        self._file = file
        self._inputs = {value.name: value.type.tensor_type for value in graph.input}
        self._producers = {name: node for node in graph.node for name in node.output}
        self._consumers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in graph.node:
            for name in node.input:
                self._consumers[name].append(node)
        # All layers or none: SlotAttention arranges the cache in another way.
        attentions = [node for node in graph.node if node.op_type == "GroupQueryAttention"]
        self._has_slots = all(map(self._is_plain, attentions))

    def nodes(self) -> Iterator[onnx.NodeProto]:
        """The nodes of the packed graph, in an order in which they can run."""
        # By the output of a group's first node: the operator that replaces the group. The other nodes are dropped.
        replacing: dict[str, onnx.NodeProto] = {}
        replaced: set[str] = set()
        for node in self._graph.node:
            found = self._gated(node) or self._head(node)
            if found:
                group, operator = found
                replacing[group[0].output[0]] = operator
                replaced |= {each.output[0] for each in group}
        for node in self._graph.node:
            name = node.output[0]
            if name in replacing:
                yield replacing[name]
            elif name not in replaced:
                yield self._attention(node) or self._product(node) or node

    def _product(self, node: onnx.NodeProto) -> onnx.NodeProto | None:
        matrix = self._matrix(node)
        return None if matrix is None else self._matmul(node, node.output[0], matrix, is_gated=False)

    def _gated(self, product: onnx.NodeProto) -> _Replacement | None:
        """Replace a gated feed-forward layer, silu(gate) * up, given its Mul."""
        pair = self._pair(product, "Mul", "QuickGelu", "MatMulNBits")
        if pair is None:
            return None
        silu, up = pair
        gate = self._producers.get(silu.input[0])
        if gate is None or gate.input[0] != up.input[0]:
            return None
        gate_matrix, up_matrix = self._matrix(gate), self._matrix(up)
        if attributes(silu)["alpha"] != 1.0 or gate_matrix is None or up_matrix is None:
            return None
        matrix = gate_matrix.interleaved(up_matrix)
        group = (gate, up, silu, product)
        if matrix is None or not self._are_private(group):
            return None
        return group, self._matmul(gate, product.output[0], matrix, is_gated=True)

    def _head(self, scatter: onnx.NodeProto) -> _Replacement | None:
        """Replace the head and its rescoring, given the node that writes the finer logits over the coarse."""
        if scatter.op_type != "ScatterElements":
            return None
        coarse, top, squeeze = (self._producers[name] for name in scatter.input)
        product = self._producers[squeeze.input[0]]
        rows, column = (self._producers[name] for name in product.input)
        group = (coarse, top, rows, column, product, squeeze, scatter)
        kinds = ["MatMulNBits", "TopK", "GatherBlockQuantized", "Unsqueeze", "MatMul", "Squeeze", "ScatterElements"]
        if [each.op_type for each in group] != kinds or not self._are_private(group):
            return None
        matrix = self._matrix(coarse)
        table = attributes(rows)
        if matrix is None or matrix.bias is not None or matrix.quantised.bits != _HEAD_BITS:
            return None
        if table["bits"] != _TABLE_BITS:
            return None
        name = coarse.output[0]
        inputs = [coarse.input[0], *self._stored(name, matrix)[:_HEAD_TENSORS]]
        inputs += [self._file.append(each, self._tensors[each]) for each in (rows.input[0], rows.input[2])]
        operator = helper.make_node(
            "RescoredHead",
            inputs,
            [scatter.output[0]],
            name=name,
            domain=DOMAIN,
            K=matrix.columns,
            N=matrix.rows,
            block_size=matrix.block_size,
            tokens=int(self._tensors[top.input[1]].item()),
            table_block=table["block_size"],
        )
        return group, operator

    def _attention(self, node: onnx.NodeProto) -> onnx.NodeProto | None:
        if node.op_type != "GroupQueryAttention" or not self._has_slots:
            return None
        given = attributes(node)
        query, key, value, past_key, past_value, lengths, _, cos, sin = node.input
        inputs = [query, key, value, past_key, past_value, lengths, cos, sin]
        settings = {name: given[name] for name in ("num_heads", "kv_num_heads", "scale")}
        return helper.make_node("SlotAttention", inputs, node.output, name=node.name, domain=DOMAIN, **settings)

    def _is_plain(self, attention: onnx.NodeProto) -> bool:
        """Whether SlotAttention computes what this node computes."""
        given, past = attributes(attention), self._inputs[attention.input[3]]
        if given.keys() != _ATTENTION_ATTRIBUTES or not given["do_rotary"] or given["rotary_interleaved"]:
            return False
        return past.elem_type == onnx.TensorProto.FLOAT and past.shape.dim[3].dim_value in HEAD_DIMS

    def _matmul(self, node: onnx.NodeProto, output: str, matrix: Matrix, *, is_gated: bool) -> onnx.NodeProto:
        return helper.make_node(
            "MatMulPacked",
            [node.input[0], *self._stored(output, matrix)],
            [output],
            name=output,
            domain=DOMAIN,
            K=matrix.columns,
            N=matrix.rows,
            bits=matrix.quantised.bits,
            block_size=matrix.block_size,
            gated=int(is_gated),
        )

    def _stored(self, name: str, matrix: Matrix) -> list[str]:
        """Write the packed matrix; returns the names of its tensors, "" for an absent tensor."""
        packed = pack(matrix.quantised)
        bias = None if matrix.bias is None else pack_bias(matrix.bias)
        tensors: dict[str, NDArray[Any] | None] = {
            "packed": packed.packed,
            "scales": packed.scales,
            "offsets": packed.offsets,
            "bias": bias,
        }
        return ["" if array is None else self._file.append(f"{name}.{part}", array) for part, array in tensors.items()]

    def _matrix(self, node: onnx.NodeProto) -> Matrix | None:
        """The matrix of a MatMulNBits node that our operators can multiply; None for other nodes."""
        if node.op_type != "MatMulNBits":
            return None
        return Matrix.of(node, self._tensors)

    def _pair(self, node: onnx.NodeProto, kind: str, *inputs: str) -> tuple[onnx.NodeProto, ...] | None:
        """The producers of a node of this kind, in the order of `inputs`, whatever their order in the node."""
        if node.op_type != kind:
            return None
        producers = {each.op_type: each for name in node.input if (each := self._producers.get(name))}
        return tuple(producers[each] for each in inputs) if producers.keys() == set(inputs) else None

    def _are_private(self, group: tuple[onnx.NodeProto, ...]) -> bool:
        """Whether only the last node's output leaves the group."""
        own = {id(each) for each in group}
        users = [user for each in group[:-1] for name in each.output for user in self._consumers[name]]
        outputs = {value.name for value in self._graph.output}
        return all(id(user) in own for user in users) and not any(
            name in outputs for each in group[:-1] for name in each.output
        )
