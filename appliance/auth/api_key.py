"""An API key: `apl_<id>_<secret>`. It is made and read here, and kept nowhere: only its digest is stored.

The digest is plain SHA-256. Slow hashes (scrypt, Argon2) make guessing of passwords dear; a secret of 256 random bits
cannot be guessed at any speed, and a slow hash would only make each request dear.
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
        key_id: names the key in lists and logs; no secret.
        secret: 256 random bits in hexadecimal. It is left out of the key's repr, so that no traceback shows it.
    """

    key_id: str
    secret: str = field(repr=False)

    @classmethod
    def new(cls) -> ApiKey:
        """Make one from the system's random source."""
        return cls(secrets.token_hex(_ID_BYTES), secrets.token_hex(_SECRET_BYTES))

    @classmethod
    def from_text(cls, text: str) -> ApiKey | None:
        """Read what a client sent; None when it has another form."""
        found = _FORM.fullmatch(text)
        return cls(found[1], found[2]) if found else None

    def to_text(self) -> str:
        """The key as its holder is given it."""
        return f"{PREFIX}_{self.key_id}_{self.secret}"

    @property
    def digest(self) -> str:
        """What is stored of the secret: SHA-256, in hexadecimal."""
        return hashlib.sha256(self.secret.encode()).hexdigest()

    def has_digest(self, digest: str) -> bool:
        """Compare in a time that does not tell how much of it is right."""
        return hmac.compare_digest(self.digest.encode(), digest.encode())
