"""Installed models: open, list, record, remove. A model is visible only if all its files are in the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance import durable
from appliance.catalog import ModelEntry, ModelFile
from appliance.errors import IntegrityError, UnknownModelError
from appliance.layout import Layout
from appliance.lock import locked
from appliance.names import check_name
from appliance.store.blobs import Advance, Blobs
from appliance.store.record import ModelRecord


@dataclass(frozen=True)
class Fault:
    """A stored file that is missing or changed."""

    file: ModelFile
    message: str


@dataclass(frozen=True)
class StoredModel:
    """An installed model.

    Attributes:
        record: the model's record, with its origin.
        files: paths by plain name. The paths are in the store: their names are digests, without suffix.
    """

    record: ModelRecord
    files: Mapping[str, Path]
    blobs: Blobs

    @property
    def name(self) -> str:
        """The model's name."""
        return self.record.entry.name

    @property
    def entry(self) -> ModelEntry:
        """Architecture, licence, context and provenance of the model, and each file's size and digest."""
        return self.record.entry

    def faults(self, advance: Advance | None = None) -> tuple[Fault, ...]:
        """Hash every file again; returns those that are missing or changed."""
        return tuple(fault for file in self.entry.files if (fault := self._fault(file, advance)))

    def _fault(self, file: ModelFile, advance: Advance | None) -> Fault | None:
        try:
            self.blobs.check(file, advance)
        except IntegrityError as error:
            return Fault(file, error.message)
        return None

    def verify(self, advance: Advance | None = None) -> None:
        """Hash every file again.

        Raises:
            IntegrityError: files are missing or changed; the message names each.
        """
        faults = self.faults(advance)
        if faults:
            raise IntegrityError(
                f"{self.name}: " + "; ".join(fault.message for fault in faults),
                hint=f"remove the model and pull it again: appliance model remove {self.name}",
            )


def open_model(layout: Layout, name: str) -> StoredModel:
    """Open an installed model. Only `verify` hashes its files.

    Raises:
        UnknownModelError: the model is not installed.
        IntegrityError: the record cannot be read, or is another model's.
    """
    path = _record_path(layout, name)
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise UnknownModelError(
            f"the model {name!r} is not installed",
            hint=f"install it: appliance model pull {name}; list the models: appliance model list",
        ) from error
    found = ModelRecord.from_bytes(content, str(path))
    if found.entry.name != name:
        raise IntegrityError(f"{path} is the record of {found.entry.name!r}", hint="the file was renamed; remove it")
    blobs = Blobs(layout.store)
    return StoredModel(found, {file.name: blobs.path(file.sha256) for file in found.entry.files}, blobs)


def installed(layout: Layout) -> tuple[StoredModel, ...]:
    """All installed models, sorted by name.

    Raises:
        IntegrityError: a record cannot be read.
    """
    return tuple(open_model(layout, path.stem) for path in sorted(layout.models.glob("*.json")))


def record(layout: Layout, entry: ModelRecord) -> None:
    """Make a model visible. The caller has added its files and holds the store's lock."""
    durable.replace(_record_path(layout, entry.entry.name), entry.to_bytes())


def remove(layout: Layout, name: str) -> int:
    """Remove a model and the files that no other model uses; returns the bytes freed.

    Raises:
        UnknownModelError: the model is not installed.
        IntegrityError: another model's record cannot be read, so the files that it uses are unknown.
    """
    path = _record_path(layout, name)
    blobs = Blobs(layout.store)
    with locked(blobs.lock):
        if not path.exists():
            raise UnknownModelError(
                f"the model {name!r} is not installed", hint="list the models: appliance model list"
            )
        others = [open_model(layout, p.stem) for p in layout.models.glob("*.json") if p != path]
        durable.remove(path)
        return blobs.keep_only({file.sha256 for other in others for file in other.entry.files})


def _record_path(layout: Layout, name: str) -> Path:
    return layout.models / f"{check_name(name, 'model')}.json"
