"""The content-addressed store: what is in it is what its name says."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from appliance.catalog import ModelFile
from appliance.errors import IntegrityError
from appliance.store import Blobs
from tests.refusals import refused

CONTENT = b"some weights" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "store")


def stored(blobs: Blobs) -> list[str]:
    return sorted(blobs.digests())


def test_content_is_found_by_its_digest_and_cannot_be_written(blobs: Blobs, tmp_path: Path):
    file = blobs.add("weights.gguf", [CONTENT[:5], CONTENT[5:]])
    assert file == ModelFile("weights.gguf", len(CONTENT), DIGEST)
    path = tmp_path / "store" / "sha256" / DIGEST[:2] / DIGEST[2:]
    assert blobs.path(DIGEST) == path
    assert path.read_bytes() == CONTENT
    assert path.stat().st_mode & 0o777 == 0o444
    blobs.check(file)


@pytest.mark.parametrize(
    "expected",
    [
        ModelFile("weights.gguf", len(CONTENT), "0" * 64),
        ModelFile("weights.gguf", len(CONTENT) - 1, DIGEST),
        ModelFile("weights.gguf", len(CONTENT) + 1, DIGEST),
    ],
)
def test_content_that_is_not_as_expected_never_enters(blobs: Blobs, tmp_path: Path, expected: ModelFile):
    with pytest.raises(IntegrityError, match=r"weights\.gguf"):
        blobs.add("weights.gguf", [CONTENT], expected)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_source_that_never_ends_is_cut_off(blobs: Blobs):
    def endless():
        while True:
            yield bytes(1000)

    with refused(IntegrityError, "longer"):
        blobs.add("weights.gguf", endless(), ModelFile("weights.gguf", 5000, DIGEST))


def test_a_changed_file_is_noticed(blobs: Blobs):
    file = blobs.add("weights.gguf", [CONTENT])
    path = blobs.path(file.sha256)
    path.chmod(0o644)
    path.write_bytes(CONTENT[:-1] + b"?")
    with refused(IntegrityError, "weights.gguf", "sha256"):
        blobs.check(file)
    path.write_bytes(CONTENT[:-1])
    with refused(IntegrityError, "weights.gguf", 11999):
        blobs.check(file)
    path.unlink()
    with pytest.raises(IntegrityError, match="missing"):
        blobs.check(file)


def test_adding_again_mends_a_changed_file(blobs: Blobs):
    file = blobs.add("weights.gguf", [CONTENT])
    blobs.path(file.sha256).chmod(0o644)
    blobs.path(file.sha256).write_bytes(b"rot")
    blobs.add("weights.gguf", [CONTENT], file)
    blobs.check(file)


def test_only_what_is_wanted_stays(blobs: Blobs, tmp_path: Path):
    keep, drop = blobs.add("a", [b"aaa"]), blobs.add("b", [b"bbbb"])
    (tmp_path / "store" / "incoming" / ".tmp-left-by-a-killed-pull").write_bytes(b"half")
    assert blobs.keep_only({keep.sha256}) == 4
    assert stored(blobs) == [keep.sha256]
    assert list((tmp_path / "store" / "incoming").iterdir()) == []
    assert not blobs.path(drop.sha256).exists()
