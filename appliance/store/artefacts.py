"""The installed artefacts of the box, and the releases of each. docs/formats/releases.md specifies them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from appliance import durable
from appliance.artefact.manifest import MANIFEST_NAME
from appliance.layout import Layout
from appliance.lock import locked
from appliance.releases import CURRENT, Releases


@dataclass(frozen=True)
class ArtefactStore:
    """The artefacts of one box.

    Attributes:
        layout: the box's folders.
    """

    layout: Layout

    def every(self) -> tuple[tuple[str, str], ...]:
        """Model and variant ("cpu-balanced") of every artefact, installed or in a plain folder, sorted."""
        links = [path for path in self.layout.artefacts.glob("*/*/*") if path.name == CURRENT]
        plain = self.layout.exports.glob(f"*/*/{MANIFEST_NAME}")
        found = {(path.parent.parent.name, path.parent.name) for path in (*links, *plain)}
        # A temporary name is a leftover of a killed process, not an artefact.
        return tuple(sorted(each for each in found if not each[1].startswith(durable.TEMPORARY_PREFIX)))

    def releases(self, model: str, variant: str) -> Releases:
        """The releases of one artefact, each named by the digest of its manifest."""
        folder = self.layout.artefacts / model / variant
        staging = folder / f"{durable.TEMPORARY_PREFIX}staging"
        return Releases(folder, staging, plain=self.layout.exports / model / variant)

    @contextmanager
    def changing(self, model: str, variant: str, waiting: Callable[[], None]) -> Iterator[Releases]:
        """Hold the lock of all artefacts while one is installed; leftovers of a killed installation are removed first.

        Args:
            model: model of the artefact to change; its releases are yielded.
            variant: its target and preset.
            waiting: called once if another process holds the lock.
        """
        # No model can have the name ".lock".
        with locked(self.layout.artefacts / ".lock", waiting=waiting):
            releases = self.releases(model, variant)
            releases.sweep()
            yield releases
