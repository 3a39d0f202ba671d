"""A change under a running engine: which one is told, and which is none."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.artefact.folder import read_manifest
from appliance.artefact.manifest import TOKENIZER
from appliance.artefact.watch import FileWatch
from tests.tiny_artefact import make_tiny_artefact


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_tiny_artefact(tmp_path / "artefact", tmp_path / "scratch")


def _overwrite_in_place_and_hide_the_time(path: Path) -> None:
    before = path.stat()
    with path.open("r+b") as stream:
        stream.write(b"!!!!")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"x" * path.stat().st_size)
    other.replace(path)


def _truncate(path: Path) -> None:
    os.truncate(path, 3)


def _link(path: Path) -> None:
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


@pytest.mark.parametrize("change", [_overwrite_in_place_and_hide_the_time, _replace, _truncate, _link, Path.unlink])
def test_a_change_is_told_until_it_is_undone(
    folder: Path, change: Callable[[Path], None], caplog: pytest.LogCaptureFixture
):
    watch = FileWatch({folder: read_manifest(folder).files})
    path = folder / TOKENIZER
    content = path.read_bytes()
    watch.look()
    assert not watch.changed
    change(path)
    watch.look()
    watch.look()
    assert watch.changed == {folder / TOKENIZER}
    assert len([record for record in caplog.records if record.levelname == "CRITICAL"]) == 1
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    watch.look()
    assert not watch.changed


def test_what_leaves_the_content_is_no_change(folder: Path):
    watch = FileWatch({folder: read_manifest(folder).files})
    for path in folder.iterdir():
        path.touch()
        path.chmod(0o600)
    watch.look()
    assert not watch.changed
