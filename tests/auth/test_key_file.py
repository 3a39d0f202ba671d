from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from appliance.auth.api_key import ApiKey
from appliance.auth.key_file import KeyFile
from appliance.auth.scope import Scope
from appliance.errors import IntegrityError

INFER = frozenset({Scope.INFER})


def add(keys: KeyFile, name: str = "line 3") -> ApiKey:
    key = ApiKey.new()
    keys.update(lambda ring: ring.add(key, name, INFER, 1))
    return key


@pytest.fixture
def keys(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "root" / "keys" / "keys.json")


def test_there_is_no_keyring_before_the_first_key(keys: KeyFile):
    assert keys.keyring() is None


def test_only_its_owner_reads_the_file(keys: KeyFile):
    add(keys)
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(keys.path.parent.stat().st_mode) == 0o700


def test_another_reader_sees_every_change_at_its_next_look(keys: KeyFile):
    reader = KeyFile(keys.path)
    for count in range(1, 4):
        add(keys)
        assert len(reader.keyring().records) == count


def test_an_unchanged_file_is_not_read_again(keys: KeyFile):
    add(keys)
    reader = KeyFile(keys.path)
    assert reader.keyring() is reader.keyring()


def test_writers_at_the_same_time_lose_nothing(keys: KeyFile):
    threads = [threading.Thread(target=add, args=(KeyFile(keys.path), f"k{n}")) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(record.name for record in keys.keyring().records) == [f"k{n}" for n in range(8)]


def test_a_damaged_file_is_an_error_until_it_is_mended(keys: KeyFile):
    add(keys)
    good = keys.path.read_bytes()
    reader = KeyFile(keys.path)
    keys.path.write_bytes(good[:-20])
    for _ in range(2):
        with pytest.raises(IntegrityError, match=r"keys\.json"):
            reader.keyring()
    keys.path.write_bytes(good)
    assert len(reader.keyring().records) == 1


def test_a_change_never_overwrites_what_cannot_be_read(keys: KeyFile):
    keys.path.parent.mkdir(parents=True)
    keys.path.write_bytes(b"precious")
    with pytest.raises(IntegrityError):
        add(keys)
    assert keys.path.read_bytes() == b"precious"
