"""Where a box may listen, and which certificates it uses."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.address import Address
from appliance.auth.api_key import ApiKey
from appliance.auth.key_file import KeyFile
from appliance.auth.policy import Policy
from appliance.auth.scope import Scope
from appliance.config import AccessConfig
from appliance.errors import UsageError
from appliance.layout import Layout
from tests.auth.certificates import Site

OUTSIDE = Address("0.0.0.0", 8080)  # noqa: S104 - whether it may listen there is what is tested


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path, tmp_path)


def make_key(layout: Layout) -> None:
    KeyFile(layout.keys).update(lambda ring: ring.add(ApiKey.new(), "k", frozenset({Scope.INFER}), 1))


def test_a_new_box_listens_on_loopback_in_the_clear(layout: Layout):
    policy = Policy.from_config(AccessConfig(), layout)
    assert policy.tls is None
    assert policy.check(Address("127.0.0.1", 1), Address("::1", 1), Address("localhost", 1)) is policy


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "box.example"])  # noqa: S104
def test_a_new_box_is_refused_the_network_and_told_the_way_out(layout: Layout, host: str):
    with pytest.raises(UsageError, match="no TLS and no authentication") as caught:
        Policy.from_config(AccessConfig(), layout).check(Address(host, 8080))
    name = host if host in {"192.0.2.7", "box.example"} else "NAME_OR_IP_OF_THIS_BOX"
    assert f"appliance tls init {name}; appliance key create NAME" in caught.value.hint


def test_one_of_the_two_is_not_enough(layout: Layout):
    make_key(layout)
    with pytest.raises(UsageError, match="the box has no TLS"):
        Policy.from_config(AccessConfig(), layout).check(OUTSIDE)
    layout.keys.unlink()
    Site(layout.tls).server()
    with pytest.raises(UsageError, match="the box has no authentication"):
        Policy.from_config(AccessConfig(), layout).check(OUTSIDE)


def test_with_both_a_box_may_be_reached_from_outside(layout: Layout):
    make_key(layout)
    Site(layout.tls).server()
    Policy.from_config(AccessConfig(), layout).check(OUTSIDE)


def test_client_certificates_are_authentication_too(layout: Layout):
    site = Site(layout.tls)
    site.server()
    access = AccessConfig(client_ca=str(site.ca_path), certificates={"*": ("infer",)})
    policy = Policy.from_config(access, layout).check(OUTSIDE)
    assert policy.certificates == {"*": {Scope.INFER}}


@pytest.mark.parametrize(
    ("access", "message"),
    [
        (AccessConfig(client_ca="ca.pem"), "need TLS"),
        (AccessConfig(require_client_certificates=True), "need TLS"),
        (AccessConfig(certificate="a.pem"), "needs private_key"),
        (AccessConfig(certificate="/nowhere/a.pem", private_key="/nowhere/a.key"), "/nowhere/a.pem: No such file"),
        (AccessConfig(certificates={"a": ("write",)}), "no scope 'write'"),
        (AccessConfig(certificates={"a": ("infer",)}), "needs client_ca"),
    ],
)
def test_what_contradicts_itself_is_refused(layout: Layout, access: AccessConfig, message: str):
    with pytest.raises(UsageError, match=message):
        Policy.from_config(access, layout)


def test_certificates_of_the_sites_own_authority_are_taken_where_they_are(layout: Layout, tmp_path: Path):
    site = Site(tmp_path / "pki")
    site.server()
    files = site.tls_files()
    access = AccessConfig(certificate=str(files.certificate), private_key=str(files.private_key))
    assert Policy.from_config(access, layout).tls == files
