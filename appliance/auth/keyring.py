"""All keys of a box, as a value: the rules for creating, finding, revoking and rotating keys. It does no I/O."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

from appliance.auth.api_key import ApiKey
from appliance.auth.key_record import KeyRecord, KeyState
from appliance.auth.principal import Principal
from appliance.auth.scope import Scope
from appliance.errors import UsageError

_SCHEMA = 1
_MAX_NAME_CHARACTERS = 64


@dataclass(frozen=True)
class Keyring:
    """Every key that was ever created on this box, oldest first. Revoked keys stay, so a list shows the history."""

    records: tuple[KeyRecord, ...] = ()

    def add(
        self, key: ApiKey, name: str, scopes: frozenset[Scope], now: int, expires: int | None = None
    ) -> tuple[Keyring, KeyRecord]:
        """Return the keyring with this key in it, and its record.

        Raises:
            UsageError: the name is empty, too long or not printable, or the key would already be expired.
        """
        if not name or len(name) > _MAX_NAME_CHARACTERS or not name.isprintable():
            raise UsageError(f"the name of a key must have 1 to {_MAX_NAME_CHARACTERS} printable characters")
        _check_future(expires, now)
        record = KeyRecord(key.key_id, name, key.digest, scopes, key.key_id, now, expires)
        return Keyring((*self.records, record)), record

    def get(self, key_id: str) -> KeyRecord:
        """Return the record with this id.

        Raises:
            UsageError: there is no such key.
        """
        found = self._find(key_id)
        if found is None:
            raise UsageError(f"there is no key {key_id!r}", hint="list the keys: appliance key list")
        return found

    def revoke(self, key_id: str, now: int) -> tuple[Keyring, KeyRecord]:
        """Return the keyring with this key revoked, and the key's record.

        Raises:
            UsageError: there is no such key.
        """
        found = self.get(key_id)
        revoked = found if found.revoked is not None else dataclasses.replace(found, revoked=now)
        return self._with(revoked), revoked

    def rotate(
        self, key_id: str, successor: ApiKey, now: int, grace_s: int, expires: int | None = None
    ) -> tuple[Keyring, KeyRecord]:
        """Return the keyring with a successor of this key, and the successor's record.

        The old key stays live for at most `grace_s` seconds. The successor has its name, scopes and principal.

        Raises:
            UsageError: there is no such key, it is not live, or it has a live successor already.
        """
        old = self.get(key_id)
        if old.state(now) is not KeyState.LIVE:
            raise UsageError(
                f"key {key_id} is {old.state(now).value}", hint="create a new key: appliance key create NAME"
            )
        _check_future(expires, now)
        live = [one for one in self.records if one.principal == old.principal and one.state(now) is KeyState.LIVE]
        if len(live) > 1:
            names = " and ".join(one.key_id for one in live)
            raise UsageError(
                f"{names} are both live; a principal can have at most two live keys",
                hint="revoke one: appliance key revoke ID",
            )
        ends = now + grace_s if old.expires is None else min(old.expires, now + grace_s)
        record = KeyRecord(
            successor.key_id, old.name, successor.digest, old.scopes, old.principal, created=now, expires=expires
        )
        return Keyring((*self._with(dataclasses.replace(old, expires=ends)).records, record)), record

    def authenticate(self, key: ApiKey, now: float) -> Principal | KeyState:
        """Return the principal, or the state of a correct key that is not live; unknown keys count as revoked."""
        found = self._find(key.key_id)
        if found is None or not key.has_digest(found.digest):
            return KeyState.REVOKED
        state = found.state(now)
        return Principal(f"key:{found.principal}", found.scopes) if state is KeyState.LIVE else state

    def to_bytes(self) -> bytes:
        """Serialise as JSON."""
        document = {"schema": _SCHEMA, "keys": [record.to_fields() for record in self.records]}
        return (json.dumps(document, indent=2) + "\n").encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Keyring:
        """Parse what `to_bytes` wrote.

        Raises:
            ValueError: the content has another format.
        """
        try:
            document = json.loads(content)
            if document["schema"] != _SCHEMA:
                raise ValueError(f"schema {document['schema']!r} is not known")
            return cls(tuple(KeyRecord.from_fields(fields) for fields in document["keys"]))
        except (KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"not a file of keys: {error}") from error

    def _find(self, key_id: str) -> KeyRecord | None:
        return next((record for record in self.records if record.key_id == key_id), None)

    def _with(self, changed: KeyRecord) -> Keyring:
        return Keyring(tuple(changed if one.key_id == changed.key_id else one for one in self.records))


def _check_future(expires: int | None, now: int) -> None:
    if expires is not None and expires <= now:
        raise UsageError("the expiry time of the key is in the past", hint="give a later time with --expires")
