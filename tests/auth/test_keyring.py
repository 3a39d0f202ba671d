"""The rules of keys: nothing here reads a clock or a file."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.auth.api_key import ApiKey
from appliance.auth.key_record import KeyState
from appliance.auth.keyring import Keyring
from appliance.auth.principal import Principal
from appliance.auth.scope import Scope, parse_scopes
from appliance.errors import UsageError
from tests.refusals import refused

INFER = frozenset({Scope.INFER})
NOW = 1_700_000_000


def ring_with(key: ApiKey, expires: int | None = None) -> Keyring:
    return Keyring().add(key, "line 3", INFER, NOW, expires)[0]


def test_a_key_opens_what_its_scopes_say():
    key = ApiKey.new()
    assert ring_with(key).authenticate(key, NOW) == Principal(f"key:{key.key_id}", INFER)


def test_a_wrong_secret_opens_nothing_even_under_a_right_id():
    key = ApiKey.new()
    assert ring_with(key).authenticate(ApiKey(key.key_id, "0" * 64), NOW) is KeyState.REVOKED
    assert ring_with(key).authenticate(ApiKey.new(), NOW) is KeyState.REVOKED


def test_a_key_ends_at_its_time_and_not_before():
    key = ApiKey.new()
    ring = ring_with(key, expires=NOW + 60)
    assert isinstance(ring.authenticate(key, NOW + 59.9), Principal)
    assert ring.authenticate(key, NOW + 60) is KeyState.EXPIRED


@pytest.mark.parametrize(("expires", "state"), [(NOW + 60, KeyState.EXPIRED), (None, None)])
def test_a_clock_from_long_before_the_key_revives_no_key_that_ends(expires: int | None, state: KeyState | None):
    key = ApiKey.new()
    ring = ring_with(key, expires)
    assert isinstance(ring.authenticate(key, NOW - 3600), Principal)
    found = ring.authenticate(key, 0.0)
    assert found is state if state else isinstance(found, Principal)


def test_whoever_guesses_is_not_told_that_a_key_has_expired():
    key = ApiKey.new()
    ring = ring_with(key, expires=NOW + 60)
    assert ring.authenticate(ApiKey(key.key_id, "0" * 64), NOW + 61) is KeyState.REVOKED


def test_a_revoked_key_opens_nothing_and_stays_in_the_list():
    key = ApiKey.new()
    ring, record = ring_with(key).revoke(key.key_id, NOW + 1)
    assert record.revoked == NOW + 1
    assert ring.authenticate(key, NOW + 1) is KeyState.REVOKED
    assert ring.revoke(key.key_id, NOW + 9)[1].revoked == NOW + 1
    assert len(ring.records) == 1


def test_both_keys_of_a_rotation_are_one_principal_until_the_grace_ends():
    old, new = ApiKey.new(), ApiKey.new()
    ring, record = ring_with(old).rotate(old.key_id, new, NOW, 3600)
    assert record.scopes == INFER
    assert (
        ring.authenticate(old, NOW + 3599)
        == ring.authenticate(new, NOW + 3599)
        == Principal(f"key:{old.key_id}", INFER)
    )
    assert ring.authenticate(old, NOW + 3600) is KeyState.EXPIRED
    assert isinstance(ring.authenticate(new, NOW + 3600), Principal)


def test_a_rotation_does_not_prolong_the_old_key():
    old = ApiKey.new()
    ring, _ = ring_with(old, expires=NOW + 60).rotate(old.key_id, ApiKey.new(), NOW, 3600)
    assert ring.authenticate(old, NOW + 60) is KeyState.EXPIRED


def test_a_third_live_key_of_one_principal_is_refused():
    old, new = ApiKey.new(), ApiKey.new()
    ring, _ = ring_with(old).rotate(old.key_id, new, NOW, 3600)
    with refused(UsageError, "two"):
        ring.rotate(new.key_id, ApiKey.new(), NOW, 3600)
    ring, third = ring.rotate(new.key_id, ApiKey.new(), NOW + 3600, 60)
    assert third.principal == old.key_id


def test_a_key_that_is_not_live_has_no_successor():
    key = ApiKey.new()
    ring, _ = ring_with(key).revoke(key.key_id, NOW)
    with refused(UsageError, "revoked"):
        ring.rotate(key.key_id, ApiKey.new(), NOW, 60)


@pytest.mark.parametrize("name", ["", "a" * 65, "two\nlines", "\x1b[31m"])
def test_a_name_that_cannot_be_printed_is_refused(name: str):
    with pytest.raises(UsageError, match="printable"):
        Keyring().add(ApiKey.new(), name, INFER, NOW)


def test_a_key_that_would_never_be_live_is_refused():
    with refused(UsageError, "--expires"):
        Keyring().add(ApiKey.new(), "late", INFER, NOW, NOW)


def test_an_unknown_id_is_named():
    with refused(UsageError, "abc"):
        Keyring().revoke("abc", NOW)


def test_the_file_says_everything_but_the_secret():
    old, new = ApiKey.new(), ApiKey.new()
    ring, _ = ring_with(old, expires=NOW + 60).rotate(old.key_id, new, NOW, 30)
    content = ring.revoke(new.key_id, NOW + 1)[0].to_bytes()
    assert Keyring.from_bytes(content).to_bytes() == content
    assert old.secret.encode() not in content
    assert old.digest.encode() in content


def damaged() -> list[bytes]:
    good = json.loads(ring_with(ApiKey.new()).to_bytes())
    found = [b"", b"{", b"[]", b"null", b'{"schema": 1}', b'{"schema": 2, "keys": []}', b'{"schema": 1, "keys": [4]}']
    for field, value in (("sha256", "ab"), ("sha256", None), ("scopes", []), ("scopes", ["all"]), ("created", "today")):
        document = json.loads(json.dumps(good))
        document["keys"][0][field] = value
        found.append(json.dumps(document).encode())
    del good["keys"][0]["revoked"]
    return [*found, json.dumps(good).encode()]


@pytest.mark.parametrize("content", damaged())
def test_a_damaged_file_is_refused(content: bytes):
    with pytest.raises(ValueError):
        Keyring.from_bytes(content)


@given(st.binary())
def test_any_bytes_are_read_or_refused(content: bytes):
    with contextlib.suppress(ValueError):
        Keyring.from_bytes(content)


def test_an_unknown_scope_is_named():
    with pytest.raises(UsageError, match="'write'"):
        parse_scopes(["infer", "write"])
