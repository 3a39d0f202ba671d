"""Installed artefacts beside those that an earlier version left, and installations that meet."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from appliance.artefact.folder import check_files, read_manifest
from appliance.artefact.manifest import MANIFEST_NAME
from appliance.errors import IntegrityError
from appliance.layout import Layout
from appliance.lock import in_use, locked
from appliance.store import ArtefactStore
from appliance.supervisor.choose import choose
from tests.export.progress import Steps
from tests.gateway.tiny_artefact import write_artefact
from tests.releases.installs import install_artefact
from tests.waiting import LIMIT_S

MODEL, VARIANT = "tiny-instruct", "cpu-test"
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(root=tmp_path / "root", cache=tmp_path / "cache")


def made(folder: Path, licence: str) -> Path:
    """An artefact that differs from others in its licence."""
    write_artefact(folder / licence)
    manifest = dataclasses.replace(read_manifest(folder / licence), license=licence)
    (folder / licence / MANIFEST_NAME).write_bytes(manifest.to_bytes())
    return folder / licence


def served(layout: Layout) -> str:
    return choose(layout, MODEL, "cpu", None).manifest.license


def test_an_artefact_of_an_earlier_version_is_served_until_another_is_installed(layout: Layout, tmp_path: Path):
    plain = layout.plain_artefact(MODEL, "cpu", "test")
    plain.parent.mkdir(parents=True)
    made(tmp_path, "old").rename(plain)
    assert ArtefactStore(layout).every() == ((MODEL, VARIANT),)
    assert choose(layout, None, "cpu", None).folder == plain
    install_artefact(layout.root, made(tmp_path, "new"))
    assert served(layout) == "new"
    assert ArtefactStore(layout).every() == ((MODEL, VARIANT),)
    assert ArtefactStore(layout).releases(MODEL, VARIANT).previous() == plain
    # Who serves the old one still can, and can start again from it.
    check_files(plain, read_manifest(plain))


def test_the_artefact_before_comes_back_without_being_written_again(layout: Layout, tmp_path: Path):
    old, new = made(tmp_path, "old"), made(tmp_path, "new")
    install_artefact(layout.root, old)
    first = choose(layout, None, "cpu", None).folder
    inode = (first / MANIFEST_NAME).stat().st_ino
    install_artefact(layout.root, new)
    install_artefact(layout.root, old)
    assert choose(layout, None, "cpu", None).folder == first
    assert (first / MANIFEST_NAME).stat().st_ino == inode


def test_an_artefact_that_is_served_survives_any_number_of_installations(layout: Layout, tmp_path: Path):
    install_artefact(layout.root, made(tmp_path, "served"))
    folder = choose(layout, None, "cpu", None).folder
    with in_use(folder):
        for licence in ("second", "third", "fourth"):
            install_artefact(layout.root, made(tmp_path, licence))
        assert served(layout) == "fourth"
        check_files(folder, read_manifest(folder))
    install_artefact(layout.root, made(tmp_path, "fifth"))
    assert not folder.exists()


def test_a_link_that_leads_nowhere_is_told_with_the_command(layout: Layout, tmp_path: Path):
    install_artefact(layout.root, made(tmp_path, "old"))
    folder = choose(layout, None, "cpu", None).folder
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(IntegrityError, match="no current artefact") as caught:
        choose(layout, None, "cpu", None)
    assert caught.value.hint.startswith("export it again: appliance export tiny-instruct")
    install_artefact(layout.root, tmp_path / "old")
    assert served(layout) == "old"


def test_a_second_installation_waits_for_the_first(layout: Layout, tmp_path: Path):
    new, waits = made(tmp_path, "new"), threading.Event()
    progress = Steps()
    progress.note = lambda _text: waits.set()  # type: ignore[method-assign]
    with locked(layout.artefacts / ".lock"):
        thread = threading.Thread(target=install_artefact, args=(layout.root, new, progress))
        thread.start()
        assert waits.wait(LIMIT_S)
        assert ArtefactStore(layout).every() == ()
    thread.join()
    assert served(layout) == "new"


def test_what_a_killed_process_left_is_no_artefact(layout: Layout, tmp_path: Path):
    install_artefact(layout.root, made(tmp_path, "whole"))
    shutil.copytree(tmp_path / "whole", layout.exports / MODEL / ".tmp-cpu-test.1.abcd")
    shutil.copytree(tmp_path / "whole", layout.artefacts / MODEL / VARIANT / ".tmp-staging" / "half")
    assert ArtefactStore(layout).every() == ((MODEL, VARIANT),)
    install_artefact(layout.root, tmp_path / "whole")
    assert not list(layout.root.rglob(".tmp-*"))


def test_installations_at_once_leave_one_of_them_current_and_whole(layout: Layout, tmp_path: Path):
    script = "import sys; from pathlib import Path; from tests.releases.installs import install_artefact\n"
    script += "for _ in range(5): install_artefact(Path(sys.argv[1]), Path(sys.argv[2]))"
    licences = ("one", "other")
    running = [
        subprocess.Popen([sys.executable, "-c", script, layout.root, made(tmp_path, licence)], cwd=REPOSITORY)
        for licence in licences
    ]
    assert [process.wait() for process in running] == [0, 0]
    assert served(layout) in licences
    releases = ArtefactStore(layout).releases(MODEL, VARIANT)
    found = [releases.current(), releases.previous()]
    for folder in found:
        assert folder is not None
        check_files(folder, read_manifest(folder))
    kept = {path.name for path in found if path}
    assert {path.name for path in releases.folder.iterdir()} == {"current", "previous", *kept}
