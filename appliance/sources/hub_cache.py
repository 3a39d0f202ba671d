"""Folders of the cache of huggingface_hub: a snapshot's files are links into the folder `blobs` of the same model.

models--ORG--NAME/blobs/DIGEST
models--ORG--NAME/refs/main                       contains the name of a snapshot
models--ORG--NAME/snapshots/COMMIT/config.json -> ../../blobs/DIGEST
"""

from __future__ import annotations

from pathlib import Path

from appliance.errors import SourceError

_PREFIX, _SNAPSHOTS, _BLOBS = "models--", "snapshots", "blobs"
_MAX_REFERENCE_BYTES = 256


def snapshot_of(place: Path) -> Path:
    """The snapshot to read if `place` is a model's folder in the cache: of `refs/main`, or the only one; else `place`.

    Raises:
        SourceError: there is no snapshot, or there are several and none is the main one.
    """
    if not place.resolve().name.startswith(_PREFIX) or not (place / _SNAPSHOTS).is_dir():
        return place
    found = {path.name: path for path in sorted((place / _SNAPSHOTS).iterdir()) if path.is_dir()}
    chosen = found.get(_main(place)) or (next(iter(found.values())) if len(found) == 1 else None)
    if chosen is None:
        raise SourceError(
            f"{place} has {len(found)} snapshots, and refs/main names none of them",
            hint=f"give the path of one snapshot: {', '.join(map(str, found.values()))}"
            if found
            else "download the model again",
        )
    return chosen


def blobs_of(home: Path) -> Path | None:
    """The folder into which the links of a snapshot may lead; None if `home`, without links, is not a snapshot."""
    model = home.parent.parent
    blobs = model / _BLOBS
    is_snapshot = home.parent.name == _SNAPSHOTS and model.name.startswith(_PREFIX)
    # A link in place of the folder could lead anywhere.
    return blobs if is_snapshot and blobs.is_dir() and not blobs.is_symlink() else None


def _main(place: Path) -> str:
    try:
        with (place / "refs" / "main").open("rb") as stream:
            return stream.read(_MAX_REFERENCE_BYTES).decode(errors="replace").strip()
    except OSError:
        return ""
