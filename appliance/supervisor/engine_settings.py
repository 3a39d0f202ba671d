"""Computes the engine's settings from the configuration and, if there is one, the limits of the TensorRT plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from appliance.artefact.manifest import Manifest
from appliance.capacity import cache_slots
from appliance.config import ServeConfig
from appliance.cores import physical_cores
from appliance.errors import UsageError
from appliance.inference.config import EngineConfig
from appliance.supervisor.served_plan import ServedPlan
from appliance.tensorrt.plan_key import Profile


def engine_settings(serve: ServeConfig, plan: ServedPlan | None, packed: Path | None = None) -> EngineConfig:
    """The engine's settings. For a value that the configuration omits, they have the engine's default or the plan's.

    Args:
        serve: the configuration.
        plan: the TensorRT plan, if the artefact needs one.
        packed: folder of the packed graph, if there is one.
    """
    usual = EngineConfig()
    slots, context, chunk = serve.slots, serve.max_context_tokens, serve.prefill_chunk_tokens
    cache_bytes = serve.cache_bytes
    if plan is not None:
        profile, row_bytes = plan.profile, plan.cache_bytes_per_token
        slots, chunk = slots or profile.slots, chunk or profile.chunk_tokens
        # The engine allocates a plan's whole cache, so it may use all rows.
        cache_bytes = cache_bytes or cache_slots(slots) * profile.context_tokens * row_bytes
        context = context or min(profile.context_tokens, cache_bytes // row_bytes)
    return EngineConfig(
        slots=slots or usual.slots,
        max_context_tokens=context,
        cache_bytes=cache_bytes or usual.cache_bytes,
        prefill_chunk_tokens=chunk or usual.prefill_chunk_tokens,
        max_queue=serve.max_queue_requests,
        threads=serve.threads,
        speculation=serve.speculation,
        plan=str(plan.folder) if plan else None,
        packed=str(packed) if packed else None,
    )


def beside_text(engine: EngineConfig) -> EngineConfig:
    """The settings of a model that computes vectors or scores, beside one that generates text.

    Without an own number of threads it uses half of the cores, so that it does not stop the streams
    (docs/decisions/cores-of-a-set.md).
    """
    return engine if engine.threads is not None else replace(engine, threads=max(1, physical_cores() // 2))


def check_profile(serve: ServeConfig, profile: Profile, manifest: Manifest) -> None:
    """Check that the configuration stays within the plan's limits, before the plan is built or loaded.

    Raises:
        UsageError: values exceed the limits; the error names each, and the command that builds a larger plan.
    """
    asked = (
        ("slots", serve.slots, profile.slots, "--slots"),
        ("max_context_tokens", serve.max_context_tokens, profile.context_tokens, "--context"),
        ("prefill_chunk_tokens", serve.prefill_chunk_tokens, profile.chunk_tokens, "--chunk"),
    )
    beyond = [(name, wanted, built, option) for name, wanted, built, option in asked if (wanted or 0) > built]
    if beyond:
        figures = ", ".join(f"{name} is {wanted} and the plan serves {built}" for name, wanted, built, _ in beyond)
        options = " ".join(f"{option} {wanted}" for _, wanted, _, option in beyond)
        command = f"appliance tensorrt build {manifest.model} --target {manifest.target} --preset {manifest.preset}"
        raise UsageError(
            f"the configuration exceeds the limits of the TensorRT plan of {manifest.model}: {figures}",
            hint=f"reduce the values in appliance.toml, or build a larger plan: {command} {options}",
        )
