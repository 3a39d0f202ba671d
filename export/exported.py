"""The result of an export, whatever the model's task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance.artefact.manifest import Manifest
from appliance.layout import Layout
from appliance.memory import peak_bytes
from appliance.store import ArtefactStore
from export.installation import install
from export.job import Job
from export.preflight import Needs
from export.stages import StageResult


@dataclass(frozen=True)
class Exported:
    """A finished export.

    Attributes:
        folder: the artefact.
        manifest: the artefact's manifest.
        was_installed: False if the same artefact was installed already.
        kept_stages: names of the stages whose earlier results were used.
        needs: the expected memory and disk space.
        build_peak_bytes: peak memory of this process after the graph was written.
        peak_bytes: peak memory of this process, including measuring. It counts the pages of mapped files, such as the
            reference's weights, which the kernel can drop at any time.
    """

    folder: Path
    manifest: Manifest
    was_installed: bool
    kept_stages: tuple[str, ...]
    needs: Needs
    build_peak_bytes: int
    peak_bytes: int

    @classmethod
    def install(
        cls,
        job: Job,
        layout: Layout,
        manifest: Manifest,
        results: Mapping[str, StageResult],
        *,
        needs: Needs,
        build_peak_bytes: int,
    ) -> Exported:
        """Install the artefact.

        Args:
            job: the export.
            layout: the box's folders.
            manifest: the artefact's manifest.
            results: all stages by name, in their order.
            needs: see above.
            build_peak_bytes: see above.

        Raises:
            IntegrityError: see `installation.install`.
        """
        installed = install(ArtefactStore(layout), manifest, results.values(), job.progress)
        return cls(
            folder=installed.folder,
            manifest=manifest,
            was_installed=not installed.was_there,
            kept_stages=tuple(name for name, result in results.items() if result.was_kept),
            needs=needs,
            build_peak_bytes=build_peak_bytes,
            peak_bytes=peak_bytes(),
        )
