"""What is stored of one API key: everything but its secret. It does no I/O."""

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
    """Whether a key opens anything."""

    LIVE = "live"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True)
class KeyRecord:
    """One key as the box remembers it. Times are Unix seconds.

    Attributes:
        key_id: see ApiKey.
        name: what it is for, in the operator's words.
        digest: SHA-256 of its secret, hexadecimal.
        scopes: what its holder may do.
        principal: the key id that its holder is known by: its own, or that of the first key of a rotation, so that
            the holder keeps its place in queues, its limits and its cached prefixes.
        created: when it was made.
        expires: when it ends; None means never.
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
        """Its state at the Unix time `now`.

        A clock that stands long before the key was made is wrong, as a board's without a clock chip is after its start.
        It cannot tell whether the key has ended, so a key with an end counts as expired.
        """
        if self.revoked is not None:
            return KeyState.REVOKED
        if self.expires is None or self.created - _CLOCK_SLACK_S <= now < self.expires:
            return KeyState.LIVE
        return KeyState.EXPIRED

    def to_fields(self) -> dict[str, Any]:
        """As JSON fields."""
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
            ValueError: it is something else.
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
    """A time for people and files: '2026-11-24T12:00:00Z'."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _seconds(text: str) -> int:
    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    return int(moment.timestamp())
