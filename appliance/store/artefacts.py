"""Installed artefacts: which there are on the box, and the releases of each. docs/formats/releases.md has the rules."""

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
        layout: where they are.
    """

    layout: Layout

    def every(self) -> tuple[tuple[str, str], ...]:
        """Model and variant ("cpu-balanced") of every artefact, installed or in a plain folder, sorted."""
        links = [path for path in self.layout.artefacts.glob("*/*/*") if path.name == CURRENT]
        plain = self.layout.exports.glob(f"*/*/{MANIFEST_NAME}")
        found = {(path.parent.parent.name, path.parent.name) for path in (*links, *plain)}
        # What a killed process left under a temporary name is no artefact.
        return tuple(sorted(each for each in found if not each[1].startswith(durable.TEMPORARY_PREFIX)))

    def releases(self, model: str, variant: str) -> Releases:
        """The releases of one artefact, each named by the digest of its manifest."""
        folder = self.layout.artefacts / model / variant
        staging = folder / f"{durable.TEMPORARY_PREFIX}staging"
        return Releases(folder, staging, plain=self.layout.exports / model / variant)

    @contextmanager
    def changing(self, model: str, variant: str, waiting: Callable[[], None]) -> Iterator[Releases]:
        """Hold all artefacts alone while one is installed; what a killed installation left is swept first.

        Args:
            model: of the artefact that is to be changed, whose releases are given.
            variant: its target and preset.
            waiting: called once when another process has to be waited for.
        """
        # No model can have this name.
        with locked(self.layout.artefacts / ".lock", waiting=waiting):
            releases = self.releases(model, variant)
            releases.sweep()
            yield releases
