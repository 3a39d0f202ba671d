"""Resolves the references of one schema document, only within the document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

# Keywords that contain schemas. Identifiers and anchors elsewhere are ignored.
_MAPS = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"})
_MAX_SCANNED = 20_000
_SCHEMAS = frozenset(
    {"allOf", "anyOf", "oneOf", "prefixItems", "items", "additionalItems", "contains", "additionalProperties"}
    | {"propertyNames", "not", "if", "then", "else", "unevaluatedItems", "unevaluatedProperties"}
)


@dataclass(frozen=True)
class Place:
    """A schema in the document.

    Attributes:
        schema: the schema.
        base: base URI of the references in it: its own identifier, or that of a schema around it.
    """

    schema: Any
    base: str


class References:
    """The URIs of the document's schemas."""

    def __init__(self, document: Any) -> None:
        """Set the document. It is searched for identifiers when a reference first needs one."""
        self._document = document
        self._is_scanned = False
        self._resources: dict[str, Any] = {"": document}
        self._anchors: dict[tuple[str, str], Any] = {}
        draft = str(document.get("$schema", "")) if isinstance(document, Mapping) else ""
        self._id = "id" if "draft-04" in draft else "$id"
        # Up to draft 7, keywords beside a reference are ignored.
        self.ref_hides_siblings = any(old in draft for old in ("draft-04", "draft-06", "draft-07"))

    def _scan(self) -> None:
        waiting = [(self._document, "")]
        for _ in range(_MAX_SCANNED):
            if not waiting:
                break
            node, base = waiting.pop()
            if isinstance(node, list):
                waiting.extend((item, base) for item in node)
            elif isinstance(node, Mapping):
                inside = self.base_in(node, base)
                self._name(node, inside)
                waiting.extend((value, inside) for key, value in node.items() if key in _SCHEMAS)
                maps = (value for key, value in node.items() if key in _MAPS and isinstance(value, Mapping))
                waiting.extend((value, inside) for each in maps for value in each.values())

    def _name(self, node: Mapping[str, Any], base: str) -> None:
        identity = node.get(self._id)
        if isinstance(identity, str):
            if identity.startswith("#"):
                self._anchors.setdefault((base, identity[1:]), node)
            else:
                self._resources.setdefault(base, node)
        for key in ("$anchor", "$dynamicAnchor"):
            if isinstance(node.get(key), str):
                self._anchors.setdefault((base, node[key]), node)

    def base_in(self, node: Any, base: str) -> str:
        """The base URI of a schema's references, given the base URI of the schema around it."""
        identity = node.get(self._id) if isinstance(node, Mapping) else None
        if not isinstance(identity, str) or identity.startswith("#") or (self.ref_hides_siblings and "$ref" in node):
            return base
        return _joined(base, identity)[0]

    def find(self, reference: str, base: str) -> Place | None:
        """Return the target of a reference; None if it is not in the document."""
        address, fragment = (base, reference[1:]) if reference.startswith("#") else _joined(base, reference)
        is_path = fragment == "" or fragment.startswith("/")
        if (address or not is_path) and not self._is_scanned:
            self._is_scanned = True
            self._scan()
        if address not in self._resources:
            return None
        node, base = self._resources[address], address
        if not is_path:
            node = self._anchors.get((address, fragment))
            return None if node is None else Place(node, address)
        for part in unquote(fragment).split("/")[1:]:
            if isinstance(node, Mapping):
                node = node.get(part.replace("~1", "/").replace("~0", "~"))
            elif isinstance(node, list) and part.isdecimal() and int(part[:9]) < len(node):
                node = node[int(part[:9])]
            else:
                return None
            base = self.base_in(node, base)
        return None if node is None else Place(node, base)


def _joined(base: str, reference: str) -> tuple[str, str]:
    """The absolute URI of a reference without the fragment, and the fragment."""
    try:
        address, fragment = urldefrag(urljoin(base, reference))
    except ValueError:
        return "invalid:", ""  # a URI that matches no schema
    return address, fragment
