"""`appliance tls …` from the outside."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.outcome import Outcome, caller


@pytest.fixture
def tls(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    return caller(tmp_path, "tls", capsys)


def test_init_makes_a_ca_and_a_certificate_for_the_names_given_and_localhost(tls, tmp_path):
    made = tls("init", "box.plant.example", "10.0.0.7", "--json").document
    assert made["ca_is_new"] is True
    shown = tls("show", "--json").document
    names = ["box.plant.example", "10.0.0.7", "localhost", "127.0.0.1", "::1"]
    assert shown["server"]["names"] == names == made["names"]
    assert shown["server"]["issuer"] == shown["site CA"]["subject"]
    assert shown["server"]["days_left"] == 396
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "tls").iterdir()}
    assert modes == {"ca.pem": 0o644, "ca.key": 0o600, "server.pem": 0o644, "server.key": 0o600}


def test_a_second_init_keeps_the_ca_that_clients_know(tls, tmp_path):
    tls("init")
    authority = (tmp_path / "tls" / "ca.pem").read_bytes()
    first = tls("show", "--json").document["server"]
    again = tls("init", "new.example")
    assert "kept the site CA" in again.out
    assert (tmp_path / "tls" / "ca.pem").read_bytes() == authority
    assert tls("show", "--json").document["server"]["sha256"] != first["sha256"]


def test_people_are_told_what_to_give_to_clients_and_what_to_keep(tls, tmp_path):
    said = tls("init", "box.plant.example").out
    assert f"curl --cacert {tmp_path / 'tls' / 'ca.pem'} https://box.plant.example:8080" in said
    assert f"keep {tmp_path / 'tls' / 'ca.key'} secret" in said
    assert "days left" in tls("show").out


def test_a_client_certificate_is_signed_by_the_same_ca(tls, tmp_path):
    tls("init")
    made = tls("client", "line-3", "--out", str(tmp_path / "out"), "--json").document
    assert Path(made["certificate"]).exists()
    assert stat.S_IMODE(Path(made["private_key"]).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["show"], "this box has no certificate"),
        (["client", "line-3"], "no site CA"),
        (["init", "two words"], "neither a host name nor an IP address"),
        (["init", "--days", "1000"], "1000 is not in the range"),
    ],
)
def test_what_cannot_be_done_exits_with_2_and_says_why(tls, words, message):
    outcome = tls(*words)
    assert outcome.status == 2
    assert message in outcome.err


def test_half_a_ca_is_not_replaced_by_a_new_one(tls, tmp_path):
    tls("init")
    (tmp_path / "tls" / "ca.key").unlink()
    outcome = tls("init")
    assert outcome.status == 8
    assert "ca.key is missing" in outcome.err
