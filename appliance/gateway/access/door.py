"""Access control: maps a key or a certificate to a principal, its scopes and its limits. It reads no request."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

from appliance.auth.api_key import ApiKey
from appliance.auth.key_file import KeyFile
from appliance.auth.key_record import KeyState
from appliance.auth.keyring import Keyring
from appliance.auth.policy import Policy
from appliance.auth.principal import LOCAL, Principal
from appliance.auth.scope import Scope
from appliance.errors import IntegrityError, UnavailableError
from appliance.gateway.access import request_quota
from appliance.gateway.access.account import Account, Limits
from appliance.gateway.access.permission import check_scopes
from appliance.gateway.access.request_quota import RequestQuota
from appliance.gateway.access_log import log
from appliance.gateway.refusals import UnauthenticatedError

_EVERY_OTHER = "*"
# Above this number, unused accounts are deleted: certificates may bring any number of names.
_MANY_ACCOUNTS = 4096


@dataclass(frozen=True)
class DoorLimits:
    """The limits of access control.

    Attributes:
        box: limits of all principals together.
        principal: limits of each principal.
        max_prompt_tokens: tokens of one prompt; None means no limit.
    """

    box: Limits = field(default_factory=lambda: Limits("the box"))
    principal: Limits = field(default_factory=lambda: Limits("this principal"))
    max_prompt_tokens: int | None = None


class Door:
    """The access control of one gateway.

    Attributes:
        limits: how much each principal may do.
        takes_certificates: whether a client certificate can replace a key.
        clock: returns the seconds by which rates are counted.
    """

    def __init__(
        self,
        policy: Policy,
        limits: DoorLimits,
        *,
        is_exposed: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create the access control.

        Args:
            policy: which keys and certificates are accepted.
            limits: see the attribute.
            is_exposed: whether other machines can reach the gateway; then every request needs authentication.
            clock: see the attribute.
        """
        self.limits = limits
        self._policy = policy
        self._keys = KeyFile(policy.keys) if policy.keys else None
        # Once keys are required, they stay required: a deleted file must not open the box.
        has_certificates = bool(policy.certificates) or (policy.tls is not None and policy.tls.requires_client)
        self._demands = is_exposed or policy.require_keys or has_certificates
        self.takes_certificates = has_certificates
        self.clock = clock
        self._box = Account(limits.box, clock())
        self._accounts: dict[str, Account] = {}

    @property
    def accounts(self) -> dict[str, Account]:
        """Principal → what it has used of its limits."""
        return self._accounts

    def identify(self, key: str | None, names: Sequence[str] = ()) -> Principal:
        """Return the principal of a request.

        Args:
            key: the text that the client sent as a key, if any.
            names: the names in the client's certificate, which TLS has verified.

        Raises:
            UnauthenticatedError: neither the key nor the certificate is accepted.
            UnavailableError: the keys cannot be read.
        """
        keyring = self._keyring()
        if not self._demands:
            return LOCAL
        # OpenAI's clients always send a key. A text without our key format does not override a certificate.
        if key is not None and (not names or ApiKey.from_text(key) is not None):
            return self._holder(keyring, key)
        for name in names:
            if name in self._policy.certificates:
                return Principal(f"cert:{name}", self._policy.certificates[name])
        if names and _EVERY_OTHER in self._policy.certificates:
            return Principal(f"cert:{names[0]}", self._policy.certificates[_EVERY_OTHER])
        if names:
            raise UnauthenticatedError("[access.certificates] contains no name of the client's certificate")
        raise UnauthenticatedError("the request has no API key", hint="send it as 'Authorization: Bearer KEY'")

    @contextlib.contextmanager
    def admitting(self, principal: Principal, any_of: Collection[Scope]) -> Iterator[RequestQuota]:
        """Count a request while the block runs, and make it the task's current quota.

        Raises:
            ForbiddenError: the principal has none of these scopes.
            LimitError: the request exceeds a limit.
        """
        check_scopes(principal, any_of)
        now = self.clock()
        accounts = (self._account(principal.name, now), self._box)
        # All accounts are checked before any account is charged.
        for account in accounts:
            account.check_request(now)
        for account in accounts:
            account.begin(now)
        found = RequestQuota(principal, accounts, self.limits.max_prompt_tokens, self.clock)
        try:
            request_quota.begin(found)
            yield found
        finally:
            found.end()

    def _keyring(self) -> Keyring | None:
        if self._keys is None:
            return None
        try:
            keyring = self._keys.keyring()
        except IntegrityError as error:
            self._demands = True
            log.error("keys", extra={"fields": {"error": str(error)}})
            raise UnavailableError("the box cannot check API keys; its log has the reason") from error
        self._demands = self._demands or keyring is not None
        return keyring

    def _holder(self, keyring: Keyring | None, text: str) -> Principal:
        key = ApiKey.from_text(text)
        found = keyring.authenticate(key, time.time()) if key and keyring else KeyState.REVOKED
        if isinstance(found, Principal):
            return found
        if found is KeyState.EXPIRED:
            raise UnauthenticatedError("the API key has expired")
        raise UnauthenticatedError(
            "the API key is not valid, or it was revoked",
            hint="keys of this box begin with apl_",
        )

    def _account(self, name: str, now: float) -> Account:
        if name not in self._accounts and len(self._accounts) >= _MANY_ACCOUNTS:
            self._accounts = {who: one for who, one in self._accounts.items() if not one.is_untouched(now)}
        return self._accounts.setdefault(name, Account(self.limits.principal, now))
