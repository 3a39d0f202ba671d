"""Converts the engine's limits from bytes to tokens for one model. Rejects limits that the model cannot meet."""

from __future__ import annotations

from appliance.artefact import Manifest, ModelShape
from appliance.artefact.manifest import ORT_CUDA
from appliance.engine.scheduler import SchedulerLimits
from appliance.errors import UsageError
from appliance.inference.config import EngineConfig


def context_tokens(manifest: Manifest, config: EngineConfig) -> int:
    """Return the maximum tokens of prompt plus completion: the configured value, else what model and memory allow.

    In main memory, a slot takes memory only for the rows that were written, so one sequence may use all of
    `cache_bytes`. On a GPU, the memory of all slots is allocated at once, so each slot has an equal share.

    Raises:
        UsageError: the configured value is larger than the model's context or `cache_bytes` allow.
    """
    shape = manifest.shape
    budget = config.cache_bytes // shape.cache_bytes_per_token
    shares = f"{config.cache_bytes} bytes of cache (cache_bytes) have space for {budget}"
    if manifest.runtime == ORT_CUDA:
        slots = scheduler_limits(shape, config).slots
        shares, budget = f"{shares}, which is {budget // slots} for each of {slots} slots", budget // slots
    possible = min(shape.context_tokens, budget)
    wanted = possible if config.max_context_tokens is None else config.max_context_tokens
    if not 1 < wanted <= possible:
        raise UsageError(
            f"a context of {wanted} tokens is not possible: the model allows {shape.context_tokens}, and {shares}",
            hint="reduce max_context_tokens or increase cache_bytes",
        )
    return wanted


def scheduler_limits(shape: ModelShape, config: EngineConfig) -> SchedulerLimits:
    """Return the scheduler's limits in rows of the cache."""
    return SchedulerLimits(
        max_running=config.slots,
        budget_rows=config.cache_bytes // shape.cache_bytes_per_token,
        prefill_chunk=config.prefill_chunk_tokens,
        interleaved_chunk=config.interleaved_chunk_tokens,
        keep_prefixes=config.prefix_cache,
    )
