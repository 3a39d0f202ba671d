"""Opens a packed graph: its bytes must be those that this box packed from this artefact for this operator library."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from appliance.artefact.folder import check_contents
from appliance.artefact.gate import CONTRIBUTED_DOMAIN, CONTRIBUTED_OPERATORS, check_content
from appliance.artefact.manifest import GRAPH, FileEntry
from appliance.derived.store import store_folder
from appliance.errors import UnsupportedError
from appliance.packed.record import REBUILD, PackedKey
from appliance.packed.rewrite import DOMAIN, OPERATORS
from appliance.packed.store import PackedStore


@dataclass(frozen=True)
class PackedGraph:
    """A packed graph of this box, before its files are read.

    Attributes:
        folder: its folder.
        files: its files, without the record.
    """

    folder: Path
    files: tuple[FileEntry, ...]

    @classmethod
    def find(cls, folder: Path, key: PackedKey) -> PackedGraph:
        """Read the record of a packed graph.

        1. This box signed the record.
        2. The graph was packed from these files, for this library.

        Raises:
            IntegrityError: 1.
            UnsupportedError: 2; the graph must be packed again.
        """
        record = PackedStore(store_folder(folder)).record(folder)
        if record.key != key:
            what = "other operators" if record.key.graph == key.graph else "another graph"
            raise UnsupportedError(f"{folder} was packed for {what}", hint=REBUILD)
        return cls(folder, record.files)

    def check(self) -> Path:
        """Verify the files and return the path of the graph file.

        1. Size and sha256 of each file are those in the record.
        2. The graph uses only known operators, and reads only its own files.

        Raises:
            IntegrityError: 1.
            UnsupportedError, UnsafeFormatError: 2.
        """
        hint = f"remove the folder {self.folder}: the next appliance up packs the weights again"
        check_contents(self.folder, self.files, hint)
        graph = self.folder / GRAPH
        check_content(graph, self.files, {CONTRIBUTED_DOMAIN: CONTRIBUTED_OPERATORS, DOMAIN: OPERATORS})
        return graph
