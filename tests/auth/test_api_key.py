from __future__ import annotations

import pytest

from appliance.auth.api_key import ApiKey


def test_a_key_is_read_as_it_was_written():
    key = ApiKey.new()
    assert ApiKey.from_text(key.to_text()) == key
    assert key.to_text() == f"apl_{key.key_id}_{key.secret}"


def test_a_secret_has_256_bits_and_no_two_are_alike():
    keys = [ApiKey.new() for _ in range(100)]
    assert all(len(bytes.fromhex(key.secret)) * 8 == 256 for key in keys)
    assert len({key.secret for key in keys}) == len({key.key_id for key in keys}) == 100


def test_neither_repr_nor_digest_shows_the_secret():
    key = ApiKey.new()
    assert key.secret not in repr(key)
    assert key.secret not in key.digest


def test_only_the_same_secret_has_the_digest():
    key, other = ApiKey.new(), ApiKey.new()
    assert key.has_digest(key.digest)
    assert not key.has_digest(other.digest)
    assert not key.has_digest("é")


SECRET = "a" * 64
OTHER_FORMS = ["", "none", "sk-1234", "apl_", "apl_0123456789", "apl_0123456789_", f"APL_0123456789_{SECRET}"]
OTHER_FORMS += [
    f"apl_0123456789_{other}" for other in (SECRET[1:], SECRET.upper(), f"{SECRET}\n", f" {SECRET}", "٣" * 64)
]


@pytest.mark.parametrize("text", OTHER_FORMS)
def test_another_form_is_no_key(text: str):
    assert ApiKey.from_text(text) is None
