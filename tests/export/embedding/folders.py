"""Opens tiny embedding models from folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from export.checkpoint import Checkpoint, open_checkpoint
from export.embedding.reading import EmbeddingModel


def opened(folder: Path) -> Checkpoint:
    """The checkpoint in a folder, whose files have their plain names."""
    return open_checkpoint({path.name: path for path in folder.iterdir()})


def read(folder: Path) -> EmbeddingModel:
    """The description of the model in a folder."""
    return EmbeddingModel.of(opened(folder))


def write(folder: Path, name: str, content: Any) -> None:
    """Replace a JSON file of the folder; None removes the file."""
    (folder / name).unlink(missing_ok=True)
    if content is not None:
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
