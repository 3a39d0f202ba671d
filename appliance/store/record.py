"""The record of one installed model, `<models>/<name>.json`: what it is, its files' digests, where it came from."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime

from appliance.catalog import ModelEntry
from appliance.catalog.parse import entry_from_document, entry_to_document
from appliance.errors import ApplianceError, IntegrityError

FORMAT = 1


@dataclass(frozen=True)
class ModelRecord:
    """One installed model.

    Attributes:
        entry: what the catalogue said when it was pulled, without its source.
        origin: where the bytes were taken from, for people.
        pulled_at: when, in UTC.
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
        return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"

    @classmethod
    def from_bytes(cls, content: bytes, path: str) -> ModelRecord:
        """Parse a record; `path` names it in messages.

        Raises:
            IntegrityError: it is not a record of this format.
        """
        try:
            document = json.loads(content)
            if document["format"] != FORMAT:
                raise IntegrityError(f"{path} has format {document['format']}, this version reads {FORMAT}")
            return cls(
                entry=entry_from_document(document["entry"], path),
                origin=document["origin"],
                pulled_at=datetime.fromisoformat(document["pulled_at"]),
            )
        except (ValueError, KeyError, TypeError, ApplianceError) as error:
            raise IntegrityError(
                f"{path} is not a model record: {error}", hint="pull the model again: appliance model pull NAME"
            ) from error
