"""Predicts memory and throughput of a model on a target from the checkpoint's shapes. A model that cannot fit fails."""

from __future__ import annotations

from dataclasses import dataclass

from appliance import targets
from appliance.artefact.manifest import ORT_CUDA, TENSORRT
from appliance.capacity import Cache, MemoryNeeds, cache_slots
from appliance.engine.exactness import graph_cache
from appliance.errors import UnsupportedError
from appliance.layout import Layout
from appliance.store import open_model
from export import prediction
from export.checkpoint import open_checkpoint
from export.holdings import Sizes
from export.pooling_models import pooling_export
from export.prediction import OnBoard, Use
from export.preflight import Needs
from export.presets import PRESETS, Preset
from export.reading import architecture_of

# For targets without a profile: the configuration's default number of slots, and the other targets' context.
_SLOTS = 8
_CONTEXT_TOKENS = 4096


@dataclass(frozen=True)
class Estimate:
    """The prediction for a model on a target.

    Attributes:
        model, target, preset: their names.
        use: the slots and cache to serve.
        sizes: the model's sizes with this preset.
        cpu: memory of serving, for a target without boards; a board's memory is in its prediction.
        export_bytes: memory that the export needs on its machine.
        building_bytes: minimum and maximum memory to build a TensorRT plan on the box; None without a plan.
        boards: see OnBoard; empty for a CPU.
    """

    model: str
    target: str
    preset: str
    use: Use
    sizes: Sizes
    cpu: MemoryNeeds | None
    export_bytes: int
    building_bytes: tuple[int, int] | None
    boards: tuple[OnBoard, ...]


def estimate(
    layout: Layout, model: str, target: str, preset: str | None, *, context_tokens: int | None, slots: int | None
) -> Estimate:
    """Predict memory and throughput.

    Args:
        layout: the box's folders.
        model: the model's name in the store.
        target: the name of a target.
        preset: one of the target's presets; None means its default.
        context_tokens: context of each slot; None means the target's, or the model's if that is less.
        slots: sequences that decode concurrently; None means the target's.

    Raises:
        UnknownModelError: no such model or target, or the target has no such preset.
        UsageError: the model does not support the context.
        NoSpaceError: the model does not fit any board of the target.
        UnsupportedError: the checkpoint has an unsupported feature, or does not generate text.
    """
    known = targets.get(target)
    chosen = PRESETS[known.preset(preset)]
    checkpoint = open_checkpoint(open_model(layout, model).files)
    pooling = pooling_export(checkpoint)
    if pooling is not None:
        raise UnsupportedError(
            f"{model} is {pooling.kind}; predictions are only for models that generate text",
            hint=f"export the model to see its size: appliance export {model}",
        )
    architecture = architecture_of(checkpoint)
    profile = known.profile
    usual_tokens = min(profile.context_tokens if profile else _CONTEXT_TOKENS, architecture.context_tokens)
    slots, context_tokens = slots or (profile.slots if profile else _SLOTS), context_tokens or usual_tokens
    chunk_tokens = profile.chunk_tokens if profile else context_tokens

    def taken(preset: Preset) -> tuple[Sizes, Use]:
        cache = cache_of(preset, slots, context_tokens, chunk_tokens)
        return Sizes.of(checkpoint, architecture, preset), Use(slots, cache)

    sizes, use = taken(chosen)
    prediction.check_context(sizes, use)
    boards = tuple(prediction.on_board(sizes, use, board) for board in known.boards)
    prediction.check_fit(model, boards, {name: taken(PRESETS[name]) for name in known.presets if name != chosen.name})
    return Estimate(
        model=model,
        target=target,
        preset=chosen.name,
        use=use,
        sizes=sizes,
        cpu=None if boards else prediction.on_cpu(sizes, use),
        export_bytes=Needs.of(checkpoint, architecture, chosen).memory_bytes,
        building_bytes=prediction.build_bytes(sizes) if chosen.runtime == TENSORRT else None,
        boards=boards,
    )


def cache_of(preset: Preset, running: int, context_tokens: int, chunk_tokens: int) -> Cache:
    """The cache that the engine reserves for this number of concurrently decoding sequences.

    In main memory, rows that are never written cost nothing: there, only the rows of running sequences are counted.
    """
    if preset.runtime == TENSORRT:
        return Cache.of_plan(cache_slots(running), context_tokens, min(chunk_tokens, context_tokens))
    if preset.runtime == ORT_CUDA:
        return graph_cache(cache_slots(running), context_tokens)
    return Cache(running, context_tokens)
