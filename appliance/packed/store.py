"""The box's store of packed graphs, and their records. docs/formats/packed.md specifies it.

It does not verify the graphs: see `PackedGraph`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from appliance.artefact.folder import open_regular
from appliance.derived.box_key import BoxKey
from appliance.derived.store import RECORD, DerivedStore
from appliance.errors import ApplianceError, IntegrityError
from appliance.packed.record import REBUILD, PackedKey, PackedRecord

_MAX_RECORD_BYTES = 1 << 20


@dataclass(frozen=True)
class PackedStore(DerivedStore):
    """The folder of one box's packed graphs. See `DerivedStore`."""

    kind = "packed"

    def record(self, build: Path) -> PackedRecord:
        """Read the record of a packed graph and verify that this box signed it.

        Raises:
            IntegrityError: there is no record, or the record is damaged, a link, or of another box.
            UnsupportedError: the record has another format.
        """
        path = build / RECORD
        try:
            descriptor = open_regular(path)
        except FileNotFoundError as error:
            raise IntegrityError(f"{path} is missing", hint=REBUILD) from error
        with os.fdopen(descriptor, "rb") as stream:
            content = stream.read(_MAX_RECORD_BYTES)
        return PackedRecord.from_bytes(content, BoxKey.open(self.box_key), str(path))

    def is_for(self, build: Path, key: PackedKey) -> bool:
        """Whether this box packed the graph for this key. The graph's digests are not verified."""
        try:
            return self.record(build).key == key
        except ApplianceError:
            return False
