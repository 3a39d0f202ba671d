"""The record beside a packed graph, signed by the box: its inputs and the digests of its files."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from appliance.artefact.manifest import FileEntry, Manifest
from appliance.derived.box_key import BoxKey
from appliance.derived.signed_record import from_signed, to_signed
from appliance.errors import IntegrityError

FORMAT = 1
REBUILD = "stop the box and start it again with appliance up, which packs the weights again"
_NAME_DIGITS = 32
# The code that decides the bytes of a packed graph. A module of the same version can differ between two checkouts.
_HERE = Path(__file__).parent
_CODE = (_HERE / "matrix.py", _HERE / "rewrite.py", _HERE / "tensors.py", _HERE.parent / "ops/packing.py")


@dataclass(frozen=True)
class PackedKey:
    """All that a packed graph depends on.

    Attributes:
        graph: sha256 of each file of the artefact's graph, by name.
        tokens: number of the tokenizer's tokens, among which the candidates are selected.
        library: sha256 of the operator library, which defines the layout.
        code: sha256 of the code that packs.
    """

    graph: Mapping[str, str]
    tokens: int
    library: str
    code: str

    @classmethod
    def of(cls, manifest: Manifest, library: str) -> PackedKey:
        """The key of an artefact's packed graph.

        Raises:
            IntegrityError: the manifest lists no graph.
        """
        return cls(manifest.graph_digests(), manifest.shape.tokens, library, _digest_of_code())

    @property
    def name(self) -> str:
        """The first digits of the key's sha256, used as the name of the release."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:_NAME_DIGITS]


@cache
def _digest_of_code() -> str:
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in _CODE]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


@dataclass(frozen=True)
class PackedRecord:
    """The record of one packed graph.

    Attributes:
        key: see PackedKey.
        files: its files, without the record.
    """

    key: PackedKey
    files: tuple[FileEntry, ...]

    def to_bytes(self, box: BoxKey) -> bytes:
        """The signed record as JSON."""
        fields = dataclasses.asdict(self)
        return to_signed(fields, FORMAT, box)

    @classmethod
    def from_bytes(cls, content: bytes, box: BoxKey, path: str) -> PackedRecord:
        """Parse a record and verify that this box signed it; `path` names it in messages.

        Raises:
            IntegrityError, UnsupportedError: see `from_signed`.
            IntegrityError: a field is missing or wrong.
        """
        fields: dict[str, Any] = from_signed(content, FORMAT, box, path, "packed graph", REBUILD)
        try:
            key = PackedKey(**fields["key"])
            return cls(key, tuple(FileEntry(**entry) for entry in fields["files"]))
        except (TypeError, KeyError, ValueError) as error:
            raise IntegrityError(f"{path} is not the record of a packed graph: {error}", hint=REBUILD) from error
