"""Durable writes: a reader sees the old content or the new, and nothing is left behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance import durable


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_replacing_puts_the_new_content_and_mode(tmp_path: Path):
    path = tmp_path / "a" / "b" / "file"
    durable.replace(path, b"old")
    durable.replace(path, b"new", mode=0o600)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert names(path.parent) == ["file"]


def test_a_failed_replacement_keeps_the_old_content(tmp_path: Path):
    path = tmp_path / "file"
    durable.replace(path, b"old")

    def write_half() -> None:
        with durable.replacing(path) as stream:
            stream.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_the_old_content_is_visible_until_the_new_is_complete(tmp_path: Path):
    path = tmp_path / "file"
    durable.replace(path, b"old")
    with durable.replacing(path) as stream:
        stream.write(b"new")
        stream.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_creating_refuses_to_overwrite(tmp_path: Path):
    path = tmp_path / "file"
    durable.create(path, b"first")
    with pytest.raises(FileExistsError):
        durable.create(path, b"second")
    assert path.read_bytes() == b"first"
    assert names(tmp_path) == ["file"]


def test_what_is_not_published_is_gone(tmp_path: Path):
    with durable.staging(tmp_path / "file") as staged:
        staged.stream.write(b"x")
        assert names(tmp_path) == [staged.temporary.name]
    assert names(tmp_path) == []


def test_appending_adds_at_the_end(tmp_path: Path):
    path = tmp_path / "log"
    durable.append(path, b"one\n")
    durable.append(path, b"two\n")
    assert path.read_bytes() == b"one\ntwo\n"


def test_a_link_is_swapped_in_one_step(tmp_path: Path):
    link = tmp_path / "current"
    durable.swap_link(link, "generations/1")
    durable.swap_link(link, "generations/2")
    assert str(link.readlink()) == "generations/2"
    assert names(tmp_path) == ["current"]


def test_a_link_does_not_replace_a_folder(tmp_path: Path):
    (tmp_path / "current").mkdir()
    with pytest.raises(OSError, match="directory"):
        durable.swap_link(tmp_path / "current", "elsewhere")
    assert names(tmp_path) == ["current"]


def test_a_folder_is_published_whole(tmp_path: Path):
    staged = tmp_path / "staged"
    (staged / "deep").mkdir(parents=True)
    (staged / "deep" / "file").write_bytes(b"x")
    durable.publish_folder(staged, tmp_path / "exports" / "done")
    assert (tmp_path / "exports" / "done" / "deep" / "file").read_bytes() == b"x"
    assert not staged.exists()


def test_a_folder_is_not_published_over_another(tmp_path: Path):
    for name in ("staged", "done"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    with pytest.raises(OSError, match="not empty"):
        durable.publish_folder(tmp_path / "staged", tmp_path / "done")
    assert (tmp_path / "done" / "file").read_text() == "done"


def test_removing_what_is_not_there_is_no_error(tmp_path: Path):
    durable.replace(tmp_path / "file", b"x")
    durable.remove(tmp_path / "file")
    durable.remove(tmp_path / "file")
    assert names(tmp_path) == []


def test_file_and_folder_are_synced_before_and_after_the_name_appears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path, seen = tmp_path / "file", []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        seen.append((str(Path(f"/proc/self/fd/{descriptor}").readlink()), path.exists()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    durable.replace(path, b"x")
    assert [exists for _, exists in seen] == [False, True]
    assert seen[1][0] == str(tmp_path)
