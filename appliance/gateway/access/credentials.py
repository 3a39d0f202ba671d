"""Extracts a client's credentials: the key in its headers, the names in its certificate. It checks none of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from appliance.gateway.refusals import UnauthenticatedError

_BEARER = "bearer "


def key_in(headers: Iterable[tuple[str, str]]) -> str | None:
    """The API key in HTTP headers or gRPC metadata, both with names in lower case.

    OpenAI's clients send `Authorization: Bearer KEY`, Anthropic's `x-api-key: KEY`. If both exist, the first counts.

    Raises:
        UnauthenticatedError: one of the two has two values; a proxy in front may have checked the other value.
    """
    found: dict[str, str] = {}
    for name, value in headers:
        if name in {"authorization", "x-api-key"} and isinstance(value, str):
            key = value.strip()
            if found.setdefault(name, key) != key:
                raise UnauthenticatedError(f"the request has two different keys in {name}", hint="send only one")
    authorization = found.get("authorization", "")
    if authorization.lower().startswith(_BEARER):
        return authorization[len(_BEARER) :].strip()
    return found.get("x-api-key", authorization or None)


def names_in_peercert(certificate: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The names in the result of `ssl.SSLSocket.getpeercert`: the common name first, then the alternative names."""
    if not certificate:
        return ()
    common = [value for part in certificate.get("subject", ()) for kind, value in part if kind == "commonName"]
    return tuple(dict.fromkeys([*common, *(value for _, value in certificate.get("subjectAltName", ()))]))


def names_in_auth_context(context: Mapping[str, Iterable[bytes]]) -> tuple[str, ...]:
    """The names in gRPC's auth context, in the same order."""
    if b"ssl" not in context.get("transport_security_type", ()) or not context.get("x509_pem_cert"):
        return ()
    found = [*context.get("x509_common_name", ()), *context.get("x509_subject_alternative_name", ())]
    return tuple(dict.fromkeys(name.decode("utf-8", "replace") for name in found))
