"""A model prepared for the benchmark: artefacts, checkpoint file, text set and the reference for these texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from appliance.artefact.manifest import TOKENIZER
from appliance.artefact.tokenizer import load_tokenizer
from appliance.errors import IntegrityError, UnsupportedError
from appliance.layout import Layout
from appliance.packed.served import served_graph
from appliance.store import StoredModel, open_model
from bench.tasks import Tasks
from export import recipes
from export.checkpoint import open_checkpoint
from export.exported import Exported
from export.pipeline import export_model
from export.presets import DEFAULT
from export.progress import Progress
from export.quality.reading import Material
from export.stages import Stages


@dataclass(frozen=True)
class Model:
    """An exported model.

    Attributes:
        name: its name in the catalogue.
        artefacts: our artefacts by preset.
        packed: folders of their packed graphs by preset; None where this CPU runs the portable graph.
        gguf: the checkpoint's file.
        sha256: digest of that file.
        config: the checkpoint's configuration with Hugging Face's keys.
        context_tokens: the model's context.
        tasks: see Tasks.
        texts: token ids of the text set for quality.
        reference: the folder of the unquantised checkpoint's output on these texts.
    """

    name: str
    artefacts: Mapping[str, Exported]
    packed: Mapping[str, Path | None]
    gguf: Path
    sha256: str
    config: Mapping[str, Any]
    context_tokens: int
    tasks: Tasks
    texts: tuple[tuple[int, ...], ...]
    reference: Path

    @property
    def corpus(self) -> tuple[int, ...]:
        """The concatenated texts."""
        return tuple(token for ids in self.texts for token in ids)


def prepare_model(layout: Layout, name: str, presets: Sequence[str], progress: Progress) -> Model:
    """Export an installed model with each preset, unless it is exported already, and collect its files.

    Raises:
        UnknownModelError: the model is not installed.
        UnsupportedError: the model is not one GGUF file, which llama.cpp needs.
        Others: see `export_model`.
    """
    stored = open_model(layout, name)
    ggufs = [file for file in stored.entry.files if file.name.lower().endswith(".gguf")]
    if len(ggufs) != 1:
        raise UnsupportedError(
            f"{name} is not one GGUF file", hint="the bench compares with llama.cpp, which reads one"
        )
    every = dict.fromkeys((DEFAULT, *presets))
    artefacts = {preset: export_model(layout, name, "cpu", preset, progress) for preset in every}
    exported = artefacts[DEFAULT]
    tokenizer = load_tokenizer((exported.folder / TOKENIZER).read_bytes())
    return Model(
        name=name,
        artefacts=artefacts,
        packed={preset: pack(layout, each) for preset, each in artefacts.items()},
        gguf=stored.files[ggufs[0].name],
        sha256=ggufs[0].sha256,
        config=open_checkpoint(stored.files).config,
        context_tokens=exported.manifest.shape.context_tokens,
        tasks=Tasks.of(exported.folder, exported.manifest),
        texts=Material.of(tokenizer, exported.manifest.shape.context_tokens).texts,
        reference=_reference(layout, stored),
    )


def pack(layout: Layout, exported: Exported) -> Path | None:
    """The folder of an artefact's packed graph, packed if necessary; None where this CPU runs the portable graph."""
    return served_graph(layout, exported.folder, exported.manifest, lambda _line: None).packed


def _reference(layout: Layout, stored: StoredModel) -> Path:
    """The folder of the reference, which the export has made or verified."""
    stages = Stages(layout.stages)
    content = recipes.content_of({file.name: file.sha256 for file in stored.entry.files})
    words = stages.result(recipes.words(content), _refuse)
    return stages.result(recipes.reference(content, words), _refuse).folder


def _refuse(folder: Path) -> NoReturn:
    raise IntegrityError(f"an export's stage went missing while {folder} was to be read", hint="run the bench again")
