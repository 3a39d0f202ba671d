"""All known models: the built-in ones and the site's own. Two entries with one name are an error."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from appliance.catalog.entry import ModelEntry
from appliance.catalog.parse import entry_from_text
from appliance.errors import UnknownModelError, UsageError

# Minimum similarity of two names: of names to suggest, and of a name that is likely misspelt.
_RESEMBLES = 0.5
_SLIP = 0.8


@dataclass(frozen=True)
class Catalogue:
    """Known models, by name."""

    entries: tuple[ModelEntry, ...]

    @classmethod
    def load(cls, site: Path) -> Catalogue:
        """Read the built-in entries and the site's own, `<site>/*.toml`.

        Raises:
            UsageError: an entry is wrong, or two entries have one name.
            UnsafeFormatError: an entry lists a file in a format that is never opened.
        """
        built_in = files("appliance.catalog") / "models"
        texts = [(item.name, item.read_bytes()) for item in built_in.iterdir() if item.name.endswith(".toml")]
        texts += [(str(path), path.read_bytes()) for path in site.glob("*.toml")]
        return cls.from_texts(sorted(texts))

    @classmethod
    def from_texts(cls, texts: Iterable[tuple[str, bytes]]) -> Catalogue:
        """Parse entries given as (origin, TOML in UTF-8).

        Raises:
            UsageError: an entry is wrong, or two entries have one name.
            UnsafeFormatError: an entry lists a file in a format that is never opened.
        """
        origins: dict[str, str] = {}
        entries = []
        for origin, content in texts:
            try:
                entry = entry_from_text(content.decode(), origin)
            except UnicodeDecodeError as error:
                raise UsageError(f"{origin} is not UTF-8: {error}") from error
            if entry.name in origins:
                raise UsageError(
                    f"the model {entry.name!r} is in the catalogue twice: {origins[entry.name]} and {origin}",
                    hint="give the site's own entry another name",
                )
            origins[entry.name] = origin
            entries.append(entry)
        return cls(tuple(sorted(entries, key=lambda entry: entry.name)))

    def find(self, name: str) -> ModelEntry | None:
        """The entry of this name, or None."""
        return next((entry for entry in self.entries if entry.name == name), None)

    def get(self, name: str) -> ModelEntry:
        """The entry of this name.

        Raises:
            UnknownModelError: no entry has this name.
        """
        entry = self.find(name)
        if entry is None:
            close = self.closest(name, _RESEMBLES)
            names = ", ".join(known.name for known in self.entries)
            own = (
                f"catalogue models: {names}; to install your own model: appliance model pull NAME --from FOLDER_OR_FILE"
            )
            raise UnknownModelError(
                f"the catalogue has no model {name!r}", hint=f"did you mean {close}?" if close else own
            )
        return entry

    def closest(self, name: str, resemblance: float = _SLIP) -> str:
        """The most similar name with at least this resemblance (0 to 1); an empty text if there is none."""
        return next(iter(difflib.get_close_matches(name, [known.name for known in self.entries], 1, resemblance)), "")
