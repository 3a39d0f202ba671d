from __future__ import annotations

import mmap
from pathlib import Path

from bench.workers.memory import mapped_bytes

PAGES = 64


def test_pages_of_a_mapped_file_count_once_they_are_read(tmp_path: Path):
    path = tmp_path / "weights of a model"
    path.write_bytes(bytes(PAGES * mmap.PAGESIZE))
    assert mapped_bytes(path) == 0
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert sum(mapped[:: mmap.PAGESIZE]) == 0
        assert mapped_bytes(path) == PAGES * mmap.PAGESIZE
        assert mapped_bytes(tmp_path / "model") == 0
