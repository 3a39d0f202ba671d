"""Chooses the exported artefacts to serve. If several fit one name, it raises an error instead of choosing one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance import targets
from appliance.artefact.folder import read_manifest
from appliance.artefact.manifest import MANIFEST_NAME, Manifest
from appliance.config import ServeConfig
from appliance.errors import IntegrityError, UnknownModelError, UsageError
from appliance.layout import Layout
from appliance.store import ArtefactStore


@dataclass(frozen=True)
class Artefact:
    """An exported model on this box.

    Attributes:
        folder: its folder, not the `current` link: the next installation does not change what is being served.
        manifest: the content of its manifest.
        sha256: digest of the manifest's bytes; the manifest has the digests of all other files.
    """

    folder: Path
    manifest: Manifest
    sha256: str

    @property
    def label(self) -> str:
        """The name to print: "qwen2.5-coder-0.5b-instruct (cpu-balanced)"."""
        return f"{self.manifest.model} ({self.manifest.target}-{self.manifest.preset})"


def choose_set(
    layout: Layout, serve: ServeConfig, names: Sequence[str], target: str | None, preset: str | None
) -> tuple[Artefact, ...]:
    """Return the models to serve, in the order of the names; see `choose` for the errors.

    Args:
        layout: where the exports are.
        serve: the configuration, with the target and the preset of each model.
        names: the models; without names, those of the configuration, or the only exported model.
        target: replaces the target of all models.
        preset: replaces the preset of all models.

    Raises:
        UsageError: a name is given twice, or it is also the alias of another model.
    """
    wanted = list(names) or [model.name for model in serve.model]
    for name in wanted:
        if wanted.count(name) > 1:
            raise UsageError(f"the model {name} is named twice", hint="name each model once")
        if name in serve.aliases:
            raise UsageError(
                f"{name} is an alias of {serve.aliases[name]} in the configuration, and also a model to serve",
                hint="remove the alias from its [[serve.model]]",
            )
    if not wanted:
        return (choose(layout, None, target or serve.target, preset or serve.preset),)
    tables = {name: serve.of(name) for name in wanted}
    return tuple(choose(layout, name, target or own.target, preset or own.preset) for name, own in tables.items())


def choose(layout: Layout, model: str | None, target: str, preset: str | None) -> Artefact:
    """Return the artefact to serve.

    Args:
        layout: where the exports are.
        model: the model's name; None chooses the only exported model.
        target: the execution target.
        preset: the preset; None chooses the only exported preset, else the export's default.

    Raises:
        UnknownModelError: no such artefact or target exists.
        UsageError: several models fit.
        IntegrityError: the `current` link is broken, or the manifest is damaged.
    """
    store = ArtefactStore(layout)
    every = store.every()
    models = sorted({name for name, _ in every if model in (None, name)})
    if not models:
        raise UnknownModelError(_absent(model, every), hint=_how_to_make(model))
    if len(models) > 1:
        raise UsageError(
            f"several models are exported: {', '.join(models)}",
            hint=f"give the models to serve, for example all: appliance up {' '.join(models)}",
        )
    name = models[0]
    variants = [variant for other, variant in every if other == name]
    for_target = [variant for variant in variants if variant.startswith(f"{target}-")]
    # The export's own default, if the model was exported with several presets and none is named.
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
    """The presets of a target, the default first; raises UnknownModelError for an unknown target."""
    return targets.get(target).presets


def _absent(model: str | None, every: Sequence[tuple[str, str]]) -> str:
    if not every:
        return "this box has no exported model"
    there = ", ".join(f"{name} ({variant})" for name, variant in every)
    return f"{model} is not exported on this box; exported artefacts: {there}"


def _how_to_make(model: str | None) -> str:
    name = model or "MODEL"
    return f"run: appliance model list; appliance model pull {name}; appliance export {name}"
