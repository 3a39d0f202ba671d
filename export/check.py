"""Checks whether a checkpoint can be exported, from its headers and text files alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from export.checkpoint import open_checkpoint
from export.reading import architecture_of
from export.words import Words


def check_checkpoint(files: Mapping[str, Path]) -> None:
    """Read a checkpoint's description, tokenizer, template and settings as an export does.

    Args:
        files: published name -> path.

    Raises:
        ApplianceError: an export would raise this error.
    """
    checkpoint = open_checkpoint(files)
    architecture = architecture_of(checkpoint)
    Words.of(checkpoint, architecture.vocabulary)
