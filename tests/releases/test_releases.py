"""Releases and their links: which is served, which is kept, which is removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.errors import IntegrityError
from appliance.lock import in_use
from appliance.releases import Releases


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path / "new" / "it", tmp_path / "staging", tmp_path / "old" / "it")


def publish(releases: Releases, name: str, content: str = "x") -> Path:
    with releases.staged(name) as staged:
        (staged / "file").write_text(content)
        return releases.publish(staged)


def lay_plain(releases: Releases) -> Path:
    assert releases.plain is not None
    releases.plain.mkdir(parents=True)
    (releases.plain / "file").write_text("plain")
    return releases.plain


def test_nothing_is_there_at_first(releases: Releases):
    assert (releases.current(), releases.previous(), releases.every(), releases.prune()) == (None, None, (), ((), 0))


def test_the_last_two_are_kept_and_older_ones_removed(releases: Releases):
    first, second, third = (publish(releases, name) for name in "abc")
    assert (releases.current(), releases.previous()) == (third, second)
    assert releases.prune() == ((first,), 1)
    assert releases.every() == (second, third)


def test_going_back_swaps_the_two(releases: Releases):
    first, second = (publish(releases, name) for name in "ab")
    releases.switch(first)
    assert (releases.current(), releases.previous()) == (first, second)
    releases.switch(first)
    assert (releases.current(), releases.previous()) == (first, second)


def test_what_is_in_use_stays_until_it_is_left(releases: Releases):
    first = publish(releases, "a")
    with in_use(first):
        publish(releases, "b")
        publish(releases, "c")
        assert releases.prune() == ((), 0)
        assert (first / "file").read_text() == "x"
    assert releases.prune() == ((first,), 1)


def test_a_damaged_one_is_not_replaced_but_followed(releases: Releases):
    damaged = publish(releases, "a", "damaged")
    with in_use(damaged):
        second = publish(releases, "a", "whole")
    assert damaged.is_dir()
    assert second.name == "a.2"
    assert (releases.current(), releases.previous(), releases.find("a")) == (second, None, second)
    # Numbers go on, whatever is left of the ones before.
    third = publish(releases, "a", "whole again")
    assert third.name == "a.3"
    assert releases.every() == (third,)


def test_a_plain_one_is_current_while_there_are_no_links_and_is_never_changed(releases: Releases):
    plain = lay_plain(releases)
    assert (releases.current(), releases.previous()) == (plain, None)
    first = publish(releases, "a")
    assert (releases.current(), releases.previous()) == (first, plain)
    assert releases.prune() == ((), 0)
    releases.switch(plain)
    assert (releases.current(), releases.previous()) == (plain, first)
    releases.switch(first)
    assert [path.name for path in plain.iterdir()] == ["file"]
    publish(releases, "b")
    assert releases.prune() == ((plain,), 5)
    assert not plain.exists()


def test_a_plain_one_that_is_a_link_is_removed_without_what_it_leads_to(releases: Releases, tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_text("x")
    assert releases.plain is not None
    releases.plain.parent.mkdir(parents=True)
    releases.plain.symlink_to(tmp_path / "elsewhere")
    publish(releases, "a")
    publish(releases, "b")
    assert releases.prune() == ((releases.plain,), 0)
    assert (tmp_path / "elsewhere" / "file").exists()


@pytest.mark.parametrize("target", ["/etc", "../../old", "..", ".", "absent", "current", "a/../b"])
def test_a_link_that_leads_elsewhere_leads_nowhere(releases: Releases, target: str):
    lay_plain(releases)
    publish(releases, "a")
    publish(releases, "b")
    link = releases.folder / "current"
    link.unlink()
    link.symlink_to(target)
    assert releases.current() is None


def test_a_folder_in_the_place_of_a_link_is_refused(releases: Releases):
    """Some programs copy links as what they lead to."""
    (releases.folder / "current").mkdir(parents=True)
    with pytest.raises(IntegrityError, match="current is not a link"):
        releases.current()


def test_what_a_crash_leaves_is_swept(releases: Releases):
    plain, first = lay_plain(releases), publish(releases, "a")
    releases.staging.mkdir()
    for folder in (releases.folder, plain.parent):
        (folder / ".tmp-a.1").mkdir()
        (folder / ".tmp-current.1").symlink_to("x")
    assert releases.every() == (first, plain)
    releases.sweep()
    assert sorted(path.name for path in releases.folder.iterdir()) == ["a", "current", "previous"]
    assert [path.name for path in plain.parent.iterdir()] == ["it"]
    assert not releases.staging.exists()
