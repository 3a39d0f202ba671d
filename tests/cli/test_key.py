"""`appliance key …` from the outside."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.outcome import Outcome, caller


@pytest.fixture
def key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    return caller(tmp_path, "key", capsys)


def states(key: Callable[..., Outcome]) -> dict[str, str]:
    return {row["id"]: row["state"] for row in key("list", "--json").document}


def test_a_key_is_shown_once_and_alone_on_standard_output(key, tmp_path):
    made = key("create", "line 3")
    assert made.out.startswith("apl_")
    assert made.out.count("\n") == 1
    assert "line 3" in made.err
    assert "infer" in made.err
    assert "never" in made.err
    secret = made.out.strip().split("_")[2]
    assert secret not in (tmp_path / "keys" / "keys.json").read_text()
    assert secret not in key("list", "--json").out


def test_a_key_lives_from_creation_to_revocation(key):
    made = key("create", "dash", "--scope", "read", "--scope", "admin", "--expires", "90d", "--json").document
    assert made["scopes"] == ["read", "admin"]
    assert made["key"].split("_")[1] == made["id"] == made["principal"]
    assert states(key) == {made["id"]: "live"}
    listed = key("list").out.splitlines()
    assert listed[0].split() == ["ID", "NAME", "STATE", "SCOPES", "PRINCIPAL", "EXPIRES"]
    assert listed[1].split()[:4] == [made["id"], "dash", "live", "read,admin"]
    assert made["id"] in key("revoke", made["id"]).out
    assert key("revoke", made["id"], "--json").document["state"] == "revoked"
    assert states(key) == {made["id"]: "revoked"}


def test_a_rotation_makes_a_successor_and_lets_the_old_key_live_for_its_grace(key):
    old = key("create", "line 3", "--json").document
    new = key("rotate", old["id"], "--grace", "1h", "--json").document
    assert new["principal"] == old["id"]
    assert new["scopes"] == old["scopes"]
    assert states(key) == {old["id"]: "live", new["id"]: "live"}
    ends = next(row["expires"] for row in key("list", "--json").document if row["id"] == old["id"])
    assert ends > time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    again = key("rotate", new["id"])
    assert again.status == 2
    assert "two live keys" in again.err


def test_a_box_without_keys_lists_none_and_names_who_can_use_it(key):
    assert "every local user" in key("list").out
    assert key("list", "--json").document == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["create"], "Missing argument 'NAME'"),
        (["create", "x", "--scope", "write"], "'write' is not one of"),
        (["create", "x", "--expires", "soon"], "'soon' is not a time"),
        (["create", "x", "--expires", "2020-01-01"], "in the past"),
        (["create", "x\ny"], "printable"),
        (["revoke", "0123456789"], "there is no key '0123456789'"),
        (["rotate", "0123456789"], "there is no key '0123456789'"),
        (["rotate", "0123456789", "--grace", "-1h"], "is not a duration"),
    ],
)
def test_what_cannot_be_done_exits_with_2_and_says_why(key, words, message):
    outcome = key(*words)
    assert outcome.status == 2
    assert message in outcome.err


def test_a_damaged_file_exits_with_8_and_is_left_alone(key, tmp_path):
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "keys.json").write_text("{")
    for words in (["list"], ["create", "x"], ["revoke", "0123456789"]):
        outcome = key(*words)
        assert outcome.status == 8
        assert "keys.json cannot be used" in outcome.err
    assert (tmp_path / "keys" / "keys.json").read_text() == "{"
