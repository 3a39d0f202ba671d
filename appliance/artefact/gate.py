"""Checks each graph before it is loaded: a graph must not read files of its choice or use unknown operators.

ONNX's external data is a file-read primitive (CVE-2022-25882, CVE-2024-27318, CVE-2026-27489, CVE-2026-34446), and some
contributed operators open files too. The check refuses such a graph; it does not repair it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError

from appliance.artefact.folder import check_files
from appliance.artefact.manifest import GRAPH, FileEntry, Manifest
from appliance.errors import IntegrityError, UnsafeFormatError, UnsupportedError

MAX_GRAPH_BYTES = 256 << 20
STANDARD_DOMAINS = frozenset({"", "ai.onnx"})
CONTRIBUTED_DOMAIN = "com.microsoft"
# Pure arithmetic, with kernels inside ONNX Runtime. For example, EPContext is excluded because it opens files.
CONTRIBUTED_OPERATORS = frozenset(
    {
        "Attention",
        "BiasGelu",
        "DynamicQuantizeMatMul",
        "FastGelu",
        "FusedMatMul",
        "GatherBlockQuantized",
        "Gelu",
        "GroupQueryAttention",
        "MatMulIntegerToFloat",
        "MatMulNBits",
        "QMoE",
        "QuickGelu",
        "RotaryEmbedding",
        "SimplifiedLayerNormalization",
        "SkipLayerNormalization",
        "SkipSimplifiedLayerNormalization",
    }
)
_EXTERNAL_KEYS = frozenset({"location", "offset", "length", "checksum"})


def check_graph(folder: Path, manifest: Manifest) -> None:
    """Check that the artefact's graph is safe to load in ONNX Runtime.

    1. The files are those of the manifest (`check_files`).
    2. The graph parses, and has no functions of its own.
    3. Every operator is a standard one or in the list above.
    4. Every external tensor, anywhere in the graph, lies within a listed file with a plain name.

    Raises:
        IntegrityError: 1, or the graph does not parse.
        UnsafeFormatError: 4.
        UnsupportedError: 2 or 3.
    """
    check_files(folder, manifest)
    manifest.file(GRAPH)
    check_content(folder / GRAPH, manifest.files, {CONTRIBUTED_DOMAIN: CONTRIBUTED_OPERATORS})


def check_content(graph: Path, files: Sequence[FileEntry], operators: Mapping[str, AbstractSet[str]]) -> None:
    """Check rules 2 to 4 of `check_graph`.

    Args:
        graph: the graph's file.
        files: the files that its external tensors may lie in.
        operators: the allowed operators of each domain besides the standard operators.

    Raises:
        IntegrityError, UnsafeFormatError, UnsupportedError: see `check_graph`.
    """
    model = _parse(graph)
    if model.functions:
        raise UnsupportedError(
            f"{graph.name} defines its own functions, which this version does not support",
            hint="export the model again",
        )
    sizes = {entry.name: entry.size_bytes for entry in files}
    for message in _messages(model):
        if isinstance(message, onnx.NodeProto):
            _check_operator(message, operators)
        elif isinstance(message, onnx.TensorProto):
            _check_tensor(message, sizes)


def _parse(path: Path) -> onnx.ModelProto:
    if path.stat().st_size > MAX_GRAPH_BYTES:
        raise UnsafeFormatError(f"{path.name} is larger than {MAX_GRAPH_BYTES} bytes: it may not contain weights")
    try:
        return onnx.load_model_from_string(path.read_bytes())
    except DecodeError as error:
        raise IntegrityError(f"{path} is not an ONNX graph", hint="export the model again") from error


def _messages(root: Any) -> Iterator[Any]:
    """Yield every message below `root`, in any field, also a future one: no tensor escapes the check."""
    pending = [root]
    while pending:
        message = pending.pop()
        yield message
        for field, value in message.ListFields():
            if field.message_type is not None:
                pending.extend([value] if hasattr(value, "ListFields") else value)


def _check_operator(node: onnx.NodeProto, operators: Mapping[str, AbstractSet[str]]) -> None:
    if node.domain in STANDARD_DOMAINS:
        return
    if node.op_type not in operators.get(node.domain, ()):
        raise UnsupportedError(
            f"the graph uses the operator {node.domain}::{node.op_type}, which this version does not support"
        )


def _check_tensor(tensor: onnx.TensorProto, sizes: dict[str, int]) -> None:
    if not tensor.external_data and tensor.data_location != onnx.TensorProto.EXTERNAL:
        return
    where = {entry.key: entry.value for entry in tensor.external_data}
    if len(where) != len(tensor.external_data) or not where.keys() <= _EXTERNAL_KEYS:
        raise UnsafeFormatError(f"tensor {tensor.name!r} has an unknown description of its external data")
    location = where.get("location", "")
    if location not in sizes:
        raise UnsafeFormatError(
            f"tensor {tensor.name!r} tries to read {location!r}, which the manifest does not list",
            hint="do not use this artefact",
        )
    offset, length = _count(where.get("offset", "0")), _count(where.get("length", ""))
    if offset is None or length is None or offset + length > sizes[location]:
        raise UnsafeFormatError(f"tensor {tensor.name!r} tries to read beyond the end of {location!r}")


def _count(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None  # noqa: PLR2004
