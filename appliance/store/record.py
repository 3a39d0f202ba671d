"""The record of one installed model, `<models>/<name>.json`: its entry, its files' digests and its origin."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from appliance import sealed
from appliance.catalog import ModelEntry
from appliance.catalog.parse import entry_from_document, entry_to_document
from appliance.errors import ApplianceError, IntegrityError

FORMAT = 2
# Records of format 1 have no digest of their own. They are trusted: the digests that they list verify the files.
_UNSEALED_FORMAT = 1


@dataclass(frozen=True)
class ModelRecord:
    """One installed model.

    Attributes:
        entry: the catalogue's entry at the time of the pull, without its source.
        origin: where the bytes came from, to print.
        pulled_at: time of the pull, in UTC.
    """

    entry: ModelEntry
    origin: str
    pulled_at: datetime

    def to_bytes(self) -> bytes:
        """The record as JSON."""
        document = {
            "format": FORMAT,
            "entry": entry_to_document(replace(self.entry, source=None)),
            "origin": self.origin,
            "pulled_at": self.pulled_at.isoformat(),
        }
        return sealed.to_bytes(document)

    @classmethod
    def from_bytes(cls, content: bytes, path: str) -> ModelRecord:
        """Parse a record; `path` names it in messages.

        Raises:
            IntegrityError: the content is not a record of this format, or does not match its own digest.
        """
        try:
            document = _document(content)
            return cls(
                entry=entry_from_document(document["entry"], path),
                origin=str(document["origin"]),
                pulled_at=datetime.fromisoformat(document["pulled_at"]),
            )
        except (ValueError, KeyError, TypeError, ApplianceError) as error:
            raise IntegrityError(
                f"{path} is not a model record: {error}", hint="delete the file and pull the model again"
            ) from error


def _document(content: bytes) -> dict[str, Any]:
    document = sealed.parse(content)
    if document.get("format") == _UNSEALED_FORMAT:
        return document
    document = sealed.from_bytes(content)
    if document["format"] != FORMAT:
        raise ValueError(f"it has format {document['format']}, this version reads {FORMAT}")
    return document
