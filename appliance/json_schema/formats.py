"""String formats: of JSON Schema, and of the libraries pydantic and zod. A schema allows only texts of its format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# The compiler enforces these formats itself.
COMPILED = frozenset({"duration", "email", "ipv4", "ipv6", "uri", "uuid"})

_YEAR = "([0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)"
_FOURTH = "(0[48]|[2468][048]|[13579][26])"
_LEAP_YEAR = f"([0-9]{{2}}{_FOURTH}|{_FOURTH}00)"
_DAYS_31 = "(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])"
_DAYS_30 = "(0[469]|11)-(0[1-9]|[12][0-9]|30)"
_DATE = f"({_YEAR}-({_DAYS_31}|{_DAYS_30}|02-(0[1-9]|1[0-9]|2[0-8]))|{_LEAP_YEAR}-02-29)"
# Leap seconds are not allowed: whether one exists depends on the offset, and few parsers accept them.
_CLOCK = "([01][0-9]|2[0-3]):[0-5][0-9]"
_TIME = f"{_CLOCK}:[0-5][0-9](\\.[0-9]+)?([zZ]|[+\\-]{_CLOCK})"
# A label has at most 63 characters. Two hyphens as third and fourth characters are excluded: they mark encoded labels.
_LETTER, _INNER = "[a-zA-Z0-9]", "[a-zA-Z0-9\\-]"
_LABEL = (
    f"({_LETTER}({_INNER}{{0,2}}{_LETTER})?|{_LETTER}{_INNER}({_LETTER}{_INNER}|-{_LETTER}){_INNER}{{0,58}}{_LETTER})"
)

_BYTE = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = f"({_BYTE}\\.){{3}}{_BYTE}"
_IPV4_LENGTH, _IPV6_LENGTH = "(3[0-2]|[12]?[0-9])", "(12[0-8]|1[01][0-9]|[1-9]?[0-9])"
_GROUP = "[0-9a-fA-F]{1,4}"
# Eight groups, or "::" between a first and a last part that have at most seven groups together.
_IPV6 = "|".join(
    [f"({_GROUP}:){{7}}{_GROUP}", f":(:{_GROUP}){{1,7}}", f"({_GROUP}:){{1,7}}:", "::"]
    + [f"({_GROUP}:){{1,{first}}}(:{_GROUP}){{1,{7 - first}}}" for first in range(1, 7)]
)
_HEX = "[0-9a-fA-F]"
_BASE64, _BASE64URL = "[A-Za-z0-9+/]", "[A-Za-z0-9_\\-]"
# RFC 3986: a relative reference; the first segment of its path has no colon. URIs are allowed too, but not generated.
_SEGMENT = "([A-Za-z0-9\\-._~!$&'()*+,;=@]|%[0-9A-Fa-f]{2})"
_FURTHER = "([A-Za-z0-9\\-._~!$&'()*+,;=@:/?]|%[0-9A-Fa-f]{2})"
_RELATIVE = f"(/?{_SEGMENT}+(/{_SEGMENT}+)*/?|/)?(\\?{_FURTHER}*)?(#{_FURTHER}*)?"


def _text(pattern: str) -> Mapping[str, Any]:
    return {"pattern": f"^({pattern})$"}


def _uuid(version: int) -> Mapping[str, Any]:
    return _text(f"{_HEX}{{8}}-{_HEX}{{4}}-{version}{_HEX}{{3}}-[89abAB]{_HEX}{{3}}-{_HEX}{{12}}")


FORMATS: Mapping[str, Mapping[str, Any]] = {
    "date": {"pattern": f"^{_DATE}$"},
    "date-time": {"pattern": f"^{_DATE}[tT]{_TIME}$"},
    "time": {"pattern": f"^{_TIME}$"},
    "hostname": {"pattern": f"^{_LABEL}(\\.{_LABEL})*$", "maxLength": 253},
    "json-pointer": _text("(/([^/~]|~[01])*)*"),
    "uri-reference": _text(_RELATIVE),
    # pydantic
    **{f"uuid{version}": _uuid(version) for version in range(1, 9)},
    # Networks whose host part is zero: the grammar cannot count bits, so only prefixes at the usual borders.
    "ipv4network": _text(f"{_BYTE}\\.0\\.0\\.0/8|({_BYTE}\\.){{2}}0\\.0/16|({_BYTE}\\.){{3}}0/24|{_IPV4}/32"),
    "ipv4interface": _text(f"{_IPV4}(/{_IPV4_LENGTH})?"),
    "ipv6network": _text(f"({_GROUP}:){{2}}:/32|({_GROUP}:){{3}}:/48|({_GROUP}:){{4}}:/64|({_IPV6})/128"),
    "ipv6interface": _text(f"({_IPV6})(/{_IPV6_LENGTH})?"),
    "ipvanyaddress": _text(f"{_IPV4}|{_IPV6}"),
    "ipvanyinterface": _text(f"{_IPV4}(/{_IPV4_LENGTH})?|({_IPV6})(/{_IPV6_LENGTH})?"),
    "decimal": _text("[+\\-]?([0-9]+(\\.[0-9]*)?|\\.[0-9]+)"),
    # pydantic and zod
    "base64": _text(f"({_BASE64}{{4}})*({_BASE64}[AQgw]==|{_BASE64}{{2}}[AEIMQUYcgkosw048]=)?"),
    "base64url": _text(f"({_BASE64URL}{{4}})*({_BASE64URL}[AQgw]==|{_BASE64URL}{{2}}[AEIMQUYcgkosw048]=)?"),
    # zod
    "cidrv4": _text(f"{_IPV4}/{_IPV4_LENGTH}"),
    "cidrv6": _text(f"({_IPV6})/{_IPV6_LENGTH}"),
    "ulid": _text("[0-7][0-9A-HJKMNP-TV-Z]{25}"),
    "cuid": _text("c[0-9a-z]{24}"),
    "cuid2": _text("[a-z][0-9a-z]{23}"),
    "nanoid": _text(f"{_BASE64URL}{{21}}"),
    "xid": _text("[0-9a-v]{20}"),
    "ksuid": _text("[A-Za-z0-9]{27}"),
    "e164": _text("\\+[1-9][0-9]{6,14}"),
    "mac": _text("([0-9a-f]{2}:){5}[0-9a-f]{2}"),
    "hex": _text(f"{_HEX}*"),
    "emoji": _text("\\p{Emoji_Presentation}[\\p{Emoji_Presentation}\\u{FE0F}\\u{200D}]*"),
}
# The grammar enforces the alphabet; the content must be checked by the client.
PARTLY: Mapping[str, Mapping[str, Any]] = {
    "jwt": _text(f"{_BASE64URL}+\\.{_BASE64URL}+\\.{_BASE64URL}*"),
}
# Every text has these formats: they tell a program how to show or use the text.
FREE = frozenset({"binary", "password", "path", "file-path", "directory-path"})
# Beside a pattern, another format is the name of the pattern's rule, as zod writes it. JSON Schema's formats are not.
STANDARD = frozenset(
    {"idn-email", "idn-hostname", "iri", "iri-reference", "uri-template", "relative-json-pointer", "regex"}
)
