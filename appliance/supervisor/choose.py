"""Picks the artefacts to serve from those that were exported. It refuses to guess between several."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance import targets
from appliance.artefact.folder import read_manifest
from appliance.artefact.manifest import MANIFEST_NAME, Manifest
from appliance.errors import IntegrityError, UnknownModelError, UsageError
from appliance.layout import Layout
from appliance.store import ArtefactStore


@dataclass(frozen=True)
class Artefact:
    """An exported model on this box.

    Attributes:
        folder: where it is; no link, so that installing another one changes nothing for who serves it.
        manifest: what is in it.
        sha256: digest of the manifest's bytes, which pins every other file.
    """

    folder: Path
    manifest: Manifest
    sha256: str

    @property
    def label(self) -> str:
        """For people: "qwen2.5-coder-0.5b-instruct (cpu-balanced)"."""
        return f"{self.manifest.model} ({self.manifest.target}-{self.manifest.preset})"


def choose_set(layout: Layout, model: str | None, target: str, preset: str | None) -> tuple[Artefact, ...]:
    """Return the set to serve. Only this function says that it has one model; whoever takes the set takes several.

    See `choose` for the arguments and for what is raised.
    """
    return (choose(layout, model, target, preset),)


def choose(layout: Layout, model: str | None, target: str, preset: str | None) -> Artefact:
    """Return the artefact that is meant.

    Args:
        layout: where exports are.
        model: its name; None takes the only one.
        target: the execution target.
        preset: its preset; None takes the only one, or the export's default.

    Raises:
        UnknownModelError: there is no such artefact or target.
        UsageError: several models fit.
        IntegrityError: its link leads nowhere, or its manifest is damaged.
    """
    store = ArtefactStore(layout)
    every = store.every()
    models = sorted({name for name, _ in every if model in (None, name)})
    if not models:
        raise UnknownModelError(_absent(model, every), hint=_how_to_make(model))
    if len(models) > 1:
        raise UsageError(
            f"several models are exported: {', '.join(models)}",
            hint="give the name of the model to serve: appliance up MODEL",
        )
    name = models[0]
    variants = [variant for other, variant in every if other == name]
    for_target = [variant for variant in variants if variant.startswith(f"{target}-")]
    # The export's own default: taken when a model was exported with several presets and none is named.
    wanted = preset or (_presets(target)[0] if len(for_target) > 1 else None)
    matching = [variant for variant in for_target if wanted is None or variant == f"{target}-{wanted}"]
    if not matching:
        can_be_made = wanted in (None, *_presets(target))
        asked = f" as {target}-{wanted}" if wanted else f" for {target}"
        make = f"appliance export {name} --target {target}" + (f" --preset {wanted}" if wanted else "")
        raise UnknownModelError(
            f"{name} is not exported{asked}; exported artefacts: {', '.join(variants)}",
            hint="choose one of these with --target and --preset" + (f", or export it: {make}" if can_be_made else ""),
        )
    releases = store.releases(name, matching[0])
    folder = releases.current()
    if folder is None:
        raise IntegrityError(
            f"{releases.folder} has no current artefact: its link leads nowhere",
            hint=f"export it again: appliance export {name} --target {target}",
        )
    manifest = read_manifest(folder)
    if manifest.model != name:
        raise UnknownModelError(
            f"{folder} contains {manifest.model}, not {name}",
            hint=f"export the model again: appliance export {name} --target {target}",
        )
    return Artefact(folder, manifest, hashlib.sha256((folder / MANIFEST_NAME).read_bytes()).hexdigest())


def _presets(target: str) -> tuple[str, ...]:
    """What can be exported for a target, its default first; a target that nobody knows is refused."""
    return targets.get(target).presets


def _absent(model: str | None, every: Sequence[tuple[str, str]]) -> str:
    if not every:
        return "this box has no exported model"
    there = ", ".join(f"{name} ({variant})" for name, variant in every)
    return f"{model} is not exported on this box; exported artefacts: {there}"


def _how_to_make(model: str | None) -> str:
    name = model or "MODEL"
    return f"run: appliance model list; appliance model pull {name}; appliance export {name}"
