"""Fetches the libraries of the chat page with npm, and checks them against `browser.json`.

Without an option: fetches every file that is missing or has another digest. `--check`: checks the digests, offline.
`--update`: after a change of a version in `browser.json`, fetches all files and records their digests.
`--tests FOLDER`: fetches the files that only tests use into a folder outside this repository, unless it has them.
"""  # noqa: INP001

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
MANIFEST = HERE / "browser.json"
VENDOR = HERE.parent / "appliance" / "gateway" / "page" / "files" / "vendor"


@dataclass(frozen=True)
class VendoredFile:
    """One file of an npm package.

    Attributes:
        package: name and version, as npm writes them.
        source: its path in the package.
        name: its name here.
        sha256: its digest in hexadecimal digits.
        is_test: whether only tests use it; then it is not in this repository.
    """

    package: str
    source: str
    name: str
    sha256: str
    is_test: bool

    def is_in(self, folder: Path) -> bool:
        """Whether the folder has this file with this digest."""
        path = folder / self.name
        return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == self.sha256


def vendored() -> list[VendoredFile]:
    """Every file in the manifest."""
    packages = json.loads(MANIFEST.read_text(encoding="utf-8"))["packages"]
    return [
        VendoredFile(f"{one['name']}@{one['version']}", source, file["name"], file["sha256"], one.get("tests", False))
        for one in packages
        for source, file in one["files"].items()
    ]


def fetch(files: list[VendoredFile], folder: Path) -> None:
    """Download the packages of these files and write the files into the folder.

    Raises:
        ValueError: a file has another digest than the manifest; then the folder is unchanged.
        OSError, subprocess.CalledProcessError: there is no npm, or npm cannot download the package.
    """
    content = dict(_downloaded(files))
    for file, raw in content.items():
        if hashlib.sha256(raw).hexdigest() != file.sha256:
            raise ValueError(f"{file.source} of {file.package} has another digest than browser.json")
    folder.mkdir(parents=True, exist_ok=True)
    for file, raw in content.items():
        (folder / file.name).write_bytes(raw)


def _downloaded(files: list[VendoredFile]) -> Iterator[tuple[VendoredFile, bytes]]:
    for package in sorted({file.package for file in files}):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["npm", "pack", "--silent", package], check=True, cwd=folder, stdout=subprocess.DEVNULL)
            (archive,) = Path(folder).iterdir()
            with tarfile.open(archive) as packed:
                for file in (file for file in files if file.package == package):
                    member = packed.extractfile(f"package/{file.source}")
                    if member is None:
                        raise ValueError(f"{package} has no file {file.source}")
                    yield file, member.read()


def record() -> None:
    """Write the digests of the files that npm delivers into the manifest."""
    found = {(file.package, file.source): raw for file, raw in _downloaded(vendored())}
    manifest: dict[str, Any] = json.loads(MANIFEST.read_text(encoding="utf-8"))
    for one in manifest["packages"]:
        for source, file in one["files"].items():
            file["sha256"] = hashlib.sha256(found[f"{one['name']}@{one['version']}", source]).hexdigest()
    MANIFEST.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def main() -> int:
    """Fetch, check or record; returns the exit status."""
    if "--update" in sys.argv[1:]:
        record()
    if "--tests" in sys.argv[1:]:
        folder = Path(sys.argv[-1])
        fetch([file for file in vendored() if file.is_test and not file.is_in(folder)], folder)
        return 0
    files = [file for file in vendored() if not file.is_test]
    wrong = [file for file in files if not file.is_in(VENDOR)]
    if wrong and "--check" not in sys.argv[1:]:
        fetch(wrong, VENDOR)
        return 0
    unlisted = {path.name for path in VENDOR.iterdir()} - {file.name for file in files}
    sys.stderr.writelines(f"{file.name} is not the file of {file.package}; run: make vendor\n" for file in wrong)
    sys.stderr.writelines(f"{name} is not in requirements/browser.json\n" for name in sorted(unlisted))
    return 1 if wrong or unlisted else 0


if __name__ == "__main__":
    sys.exit(main())
