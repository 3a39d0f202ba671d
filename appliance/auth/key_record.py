"""The stored record of one API key: all fields but the secret. It does no I/O."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from appliance.auth.api_key import ID
from appliance.auth.scope import Scope, parse_scopes, scope_words
from appliance.errors import UsageError

_DIGEST_CHARACTERS = 64
_CLOCK_SLACK_S = 86_400


class KeyState(enum.Enum):
    """Whether a key is accepted."""

    LIVE = "live"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True)
class KeyRecord:
    """The stored record of one key. Times are Unix seconds.

    Attributes:
        key_id: see ApiKey.
        name: the operator's description of its purpose.
        digest: SHA-256 of its secret, hexadecimal.
        scopes: what its holder may do.
        principal: the key id that identifies its holder. It is the key's own id, or the id of the first key of a
            rotation, so that the holder keeps its place in queues, its limits and its cached prefixes.
        created: when it was created.
        expires: when it expires; None means never.
        revoked: when it was revoked; None if it was not.
    """

    key_id: str
    name: str
    digest: str
    scopes: frozenset[Scope]
    principal: str
    created: int
    expires: int | None = None
    revoked: int | None = None

    def state(self, now: float) -> KeyState:
        """The state of the key at the Unix time `now`.

        If the clock is far behind the time at which the key was created, the clock is wrong. This happens after the
        start of a board without a clock chip. The clock then cannot show whether the key has expired, so a key with an
        expiry time counts as expired.
        """
        if self.revoked is not None:
            return KeyState.REVOKED
        if self.expires is None or self.created - _CLOCK_SLACK_S <= now < self.expires:
            return KeyState.LIVE
        return KeyState.EXPIRED

    def to_fields(self) -> dict[str, Any]:
        """The record as JSON fields."""
        return {
            "id": self.key_id,
            "name": self.name,
            "sha256": self.digest,
            "scopes": scope_words(self.scopes),
            "principal": self.principal,
            "created": instant(self.created),
            "expires": None if self.expires is None else instant(self.expires),
            "revoked": None if self.revoked is None else instant(self.revoked),
        }

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> KeyRecord:
        """Read what `to_fields` wrote.

        Raises:
            ValueError: the fields have another format.
        """
        try:
            record = cls(
                key_id=fields["id"],
                name=fields["name"],
                digest=fields["sha256"],
                scopes=parse_scopes(fields["scopes"]),
                principal=fields["principal"],
                created=_seconds(fields["created"]),
                expires=None if fields["expires"] is None else _seconds(fields["expires"]),
                revoked=None if fields["revoked"] is None else _seconds(fields["revoked"]),
            )
            is_sound = ID.fullmatch(record.key_id) and ID.fullmatch(record.principal) and isinstance(record.name, str)
            if not is_sound or len(bytes.fromhex(record.digest)) * 2 != _DIGEST_CHARACTERS:
                raise ValueError("an id or digest has another form")
        except (KeyError, TypeError, AttributeError, UsageError) as error:
            raise ValueError(f"not the record of a key: {error}") from error
        return record


def instant(seconds: int) -> str:
    """A time as people and files read it: '2026-11-24T12:00:00Z'."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _seconds(text: str) -> int:
    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    return int(moment.timestamp())
