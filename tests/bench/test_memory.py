from __future__ import annotations

import mmap
from contextlib import ExitStack
from pathlib import Path

from bench.workers.memory import mapped_bytes

PAGES = 64


def test_pages_of_all_mapped_files_of_a_folder_count_once_they_are_read(tmp_path: Path):
    folder = tmp_path / "weights of a model"
    paths = [folder / "data", folder / "data.1", tmp_path / "data"]
    folder.mkdir()
    for path in paths:
        path.write_bytes(bytes(PAGES * mmap.PAGESIZE))
    with ExitStack() as held:
        files = [held.enter_context(path.open("rb")) for path in paths]
        mapped = [held.enter_context(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) for file in files]
        assert mapped_bytes(folder) == 0
        assert sum(sum(each[:: mmap.PAGESIZE]) for each in mapped) == 0
        assert mapped_bytes(folder) == 2 * PAGES * mmap.PAGESIZE
        assert mapped_bytes(folder / "data") == 0
