"""A plan of what a model will take and give on a target: reads the checkpoint's shapes, and refuses what cannot fit."""

from __future__ import annotations

from dataclasses import dataclass

from appliance import targets
from appliance.artefact.manifest import TENSORRT
from appliance.layout import Layout
from appliance.store import open_model
from export import prediction
from export.architecture import Architecture
from export.checkpoint import Checkpoint, open_checkpoint
from export.holdings import Sizes
from export.prediction import Memory, OnBoard, Use
from export.preflight import Needs
from export.presets import PRESETS
from export.reading import architecture_of

# For targets without a profile: the configuration's default of slots, and the other targets' context.
_SLOTS = 8
_CONTEXT_TOKENS = 4096


@dataclass(frozen=True)
class Plan:
    """All that is predicted.

    Attributes:
        model, target, preset: their names.
        use: what is to be served.
        sizes: of the model with this preset.
        cpu: the memory of serving, for a target without boards; a board's is in its prediction.
        export_bytes: memory that the export takes, where it runs.
        building_bytes: the least and the most that building a TensorRT plan takes, on the box; None without one.
        boards: see OnBoard; empty for a CPU.
    """

    model: str
    target: str
    preset: str
    use: Use
    sizes: Sizes
    cpu: Memory | None
    export_bytes: int
    building_bytes: tuple[int, int] | None
    boards: tuple[OnBoard, ...]


def plan(
    layout: Layout, model: str, target: str, preset: str | None, *, context_tokens: int | None, slots: int | None
) -> Plan:
    """Predict.

    Args:
        layout: where the model is.
        model: its name in the store.
        target: the name of a target.
        preset: one of the target's presets; None takes its default.
        context_tokens: of each slot; None takes the target's, or the model's where that is less.
        slots: sequences that decode at once; None takes the target's.

    Raises:
        UnknownModelError: no such model or target, or the target has no such preset.
        UsageError: the model has no such context.
        NoSpaceError: no board of the target holds it.
        UnsupportedError: something in the checkpoint is refused.
    """
    known = targets.get(target)
    chosen = PRESETS[known.preset(preset)]
    checkpoint = open_checkpoint(open_model(layout, model).files)
    architecture = architecture_of(checkpoint)
    sizes = Sizes.of(checkpoint, architecture, chosen)
    profile = known.profile
    context_tokens = context_tokens or min(profile.context_tokens if profile else _CONTEXT_TOKENS, sizes.context_tokens)
    use = Use(
        slots=slots or (profile.slots if profile else _SLOTS),
        context_tokens=context_tokens,
        spare_tokens=min(profile.chunk_tokens, context_tokens) if profile and chosen.runtime == TENSORRT else 0,
    )
    prediction.check_context(sizes, use)
    boards = tuple(prediction.on_board(sizes, use, board) for board in known.boards)
    prediction.check_fit(model, boards, use, _others(checkpoint, architecture, known.presets, chosen.name))
    return Plan(
        model=model,
        target=target,
        preset=chosen.name,
        use=use,
        sizes=sizes,
        cpu=None if boards else prediction.memory(sizes, use, None),
        export_bytes=Needs.of(checkpoint, architecture, chosen).memory_bytes,
        building_bytes=prediction.build_bytes(sizes) if chosen.runtime == TENSORRT else None,
        boards=boards,
    )


def _others(
    checkpoint: Checkpoint, architecture: Architecture, presets: tuple[str, ...], chosen: str
) -> dict[str, Sizes]:
    return {name: Sizes.of(checkpoint, architecture, PRESETS[name]) for name in presets if name != chosen}
