"""Opens a packed graph: its bytes must be those that this box packed from this artefact for this operator library."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from appliance.artefact.folder import check_file
from appliance.artefact.gate import CONTRIBUTED_DOMAIN, CONTRIBUTED_OPERATORS, check_content
from appliance.artefact.manifest import GRAPH
from appliance.derived.store import store_folder
from appliance.errors import UnsupportedError
from appliance.packed.record import REBUILD, PackedKey
from appliance.packed.rewrite import DOMAIN, OPERATORS
from appliance.packed.store import PackedStore


def open_packed(folder: Path, key: PackedKey) -> Path:
    """Verify a packed graph and return the path of its graph file.

    1. This box signed the record.
    2. The graph was packed from these files, for this library.
    3. Size and sha256 of each file are those in the record.
    4. The graph uses only known operators, and reads only its own files.

    Raises:
        IntegrityError: 1 or 3.
        UnsupportedError: 2 or 4; the graph must be packed again.
        UnsafeFormatError: 4.
    """
    record = PackedStore(store_folder(folder)).record(folder)
    if record.key != key:
        what = "other operators" if record.key.graph == key.graph else "another graph"
        raise UnsupportedError(f"{folder} was packed for {what}", hint=REBUILD)
    hint = f"remove the folder {folder}: the next appliance up packs the weights again"
    with ThreadPoolExecutor(thread_name_prefix="digest") as pool:
        for checked in [pool.submit(check_file, folder, entry, hint) for entry in record.files]:
            checked.result()
    check_content(folder / GRAPH, record.files, {CONTRIBUTED_DOMAIN: CONTRIBUTED_OPERATORS, DOMAIN: OPERATORS})
    return folder / GRAPH
