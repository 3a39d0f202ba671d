"""The log file alone: what it holds, what it puts aside, and a disk without space."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from appliance.bounded_log import BoundedLog


def test_it_goes_on_at_the_end(tmp_path: Path):
    path = tmp_path / "run" / "log"
    for text in (b"a\n", b"b\n"):
        log = BoundedLog(path)
        log.write(text)
        log.close()
    assert path.read_bytes() == b"a\nb\n"


@given(st.lists(st.binary(max_size=100), max_size=30))
def test_both_files_keep_to_the_limit_and_hold_the_end_of_what_was_written(tmp_path_factory, pieces: list[bytes]):
    path = tmp_path_factory.mktemp("log") / "log"
    log = BoundedLog(path, limit_bytes=100)
    for piece in pieces:
        log.write(piece)
    log.close()
    aside = path.with_name("log.1")
    held = (aside.read_bytes() if aside.exists() else b"") + path.read_bytes()
    assert b"".join(pieces).endswith(held)
    assert path.stat().st_size <= 100
    assert not aside.exists() or aside.stat().st_size <= 100
    assert path.read_bytes() or not any(pieces)


def test_what_found_no_place_is_counted_and_told_when_there_is_some(tmp_path: Path):
    path = tmp_path / "log"
    path.symlink_to("/dev/full")
    log = BoundedLog(path)
    log.write(b"lost\n" * 3)
    log.close()
    path.unlink()
    log.write(b"kept\n")
    log.close()
    assert path.read_text() == "\nappliance: 15 bytes of this log had no place on the disk\nkept\n"
