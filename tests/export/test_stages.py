"""Stages: a finished one is used again, a damaged or half-made one never."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from export.stages import Recipe, Stages

RECIPE = Recipe("letters", ("stages",), {"a": "1"}, {"n": 1}, {"numpy": "1"})


class Maker:
    """Writes one file and counts how often."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, folder: Path) -> None:
        self.calls += 1
        (folder / "letters.txt").write_text("abc")


def test_a_finished_stage_is_not_made_again(tmp_path: Path) -> None:
    make = Maker()
    first = Stages(tmp_path).result(RECIPE, make)
    second = Stages(tmp_path).result(RECIPE, make)
    assert (make.calls, first.was_kept, second.was_kept) == (1, False, True)
    assert second.file("letters.txt").read_text() == "abc"
    assert second.files == first.files
    assert second.digest("letters.txt").startswith("ba7816bf")


@pytest.mark.parametrize(
    "other",
    [
        replace(RECIPE, name="words"),
        replace(RECIPE, code=("stages", "lowering")),
        replace(RECIPE, inputs={"a": "2"}),
        replace(RECIPE, options={"n": 2}),
        replace(RECIPE, versions={"numpy": "2"}),
    ],
    ids=["name", "code", "inputs", "options", "versions"],
)
def test_whatever_goes_in_decides_what_is_used(tmp_path: Path, other: Recipe) -> None:
    make = Maker()
    Stages(tmp_path).result(RECIPE, make)
    Stages(tmp_path).result(other, make)
    assert make.calls == 2


@pytest.mark.parametrize("damage", ["changed", "removed", "added", "index"])
def test_a_damaged_stage_is_made_again(tmp_path: Path, damage: str) -> None:
    make = Maker()
    kept = Stages(tmp_path).result(RECIPE, make).file("letters.txt")
    if damage == "changed":
        kept.write_text("abd")
    elif damage == "removed":
        kept.unlink()
    elif damage == "added":
        (kept.parent / "more.txt").touch()
    else:
        (kept.parent.parent / "stage.json").write_text("[")
    again = Stages(tmp_path).result(RECIPE, make)
    assert make.calls == 2
    assert [path.name for path in again.folder.iterdir()] == ["letters.txt"]
    assert again.file("letters.txt").read_text() == "abc"


def test_a_stage_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half.txt").touch()
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        Stages(tmp_path).result(RECIPE, fail)
    assert list(tmp_path.iterdir()) == []
    assert not Stages(tmp_path).is_kept(RECIPE)


def test_what_a_killed_export_left_is_swept(tmp_path: Path) -> None:
    (tmp_path / ".tmp-letters" / "files").mkdir(parents=True)
    Stages(tmp_path).result(RECIPE, Maker())
    Stages(tmp_path).sweep()
    assert [path.name.partition("-")[0] for path in tmp_path.iterdir()] == ["letters"]
