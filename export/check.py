"""Whether a checkpoint can be exported, as far as that is known without work. It reads headers and texts alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from export.checkpoint import open_checkpoint
from export.reading import architecture_of
from export.words import Words


def check_checkpoint(files: Mapping[str, Path]) -> None:
    """Read a checkpoint's description and its words as an export does.

    Args:
        files: published name -> where the bytes are.

    Raises:
        ApplianceError: what an export would refuse.
    """
    checkpoint = open_checkpoint(files)
    architecture = architecture_of(checkpoint)
    Words.of(checkpoint, architecture.vocabulary)
