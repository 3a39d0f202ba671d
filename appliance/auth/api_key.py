"""An API key: `apl_<id>_<secret>`. This module creates and parses keys. The box stores only the digest of a key.

The digest is plain SHA-256. Slow hashes (scrypt, Argon2) make it expensive to guess passwords. A secret of 256 random
bits cannot be guessed at any speed, and a slow hash would only make each request slow.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field

PREFIX = "apl"
_ID_BYTES = 5
_SECRET_BYTES = 32
_FORM = re.compile(rf"{PREFIX}_([0-9a-f]{{{2 * _ID_BYTES}}})_([0-9a-f]{{{2 * _SECRET_BYTES}}})")
ID = re.compile(rf"[0-9a-f]{{{2 * _ID_BYTES}}}")


@dataclass(frozen=True)
class ApiKey:
    """A credential.

    Attributes:
        key_id: names the key in lists and logs; not secret.
        secret: 256 random bits in hexadecimal. The repr of the key omits the secret, so no traceback shows it.
    """

    key_id: str
    secret: str = field(repr=False)

    @classmethod
    def new(cls) -> ApiKey:
        """Create a key from the system's random source."""
        return cls(secrets.token_hex(_ID_BYTES), secrets.token_hex(_SECRET_BYTES))

    @classmethod
    def from_text(cls, text: str) -> ApiKey | None:
        """Parse a key that a client sent; None if the text does not have the format of a key."""
        found = _FORM.fullmatch(text)
        return cls(found[1], found[2]) if found else None

    def to_text(self) -> str:
        """The key as the client sends it."""
        return f"{PREFIX}_{self.key_id}_{self.secret}"

    @property
    def digest(self) -> str:
        """The stored digest of the secret: SHA-256, in hexadecimal."""
        return hashlib.sha256(self.secret.encode()).hexdigest()

    def has_digest(self, digest: str) -> bool:
        """Compare in constant time, so that the time does not show how much of the digest is right."""
        return hmac.compare_digest(self.digest.encode(), digest.encode())
