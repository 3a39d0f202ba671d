"""The default profile of a plan."""

from __future__ import annotations

from typing import Protocol

from appliance.artefact.manifest import TENSORRT, Manifest
from appliance.errors import ApplianceError, UnsupportedError
from appliance.tensorrt.open_plan import read_record
from appliance.tensorrt.plan_key import Profile
from appliance.tensorrt.plan_store import PlanStore


class Shapes(Protocol):
    """The profile in a target file; see `Profile`."""

    @property
    def slots(self) -> int:
        """See `Profile`."""

    @property
    def context_tokens(self) -> int:
        """See `Profile`."""

    @property
    def chunk_tokens(self) -> int:
        """See `Profile`."""


def usual_profile(store: PlanStore, manifest: Manifest, of_target: Shapes | None) -> Profile:
    """The profile of the current plan, which a person chose; else the target's, within the model's context.

    Raises:
        UnsupportedError: the artefact does not run with TensorRT, or its target has no profile.
    """
    if manifest.runtime != TENSORRT or of_target is None:
        raise UnsupportedError(
            f"{manifest.model} as {manifest.target}-{manifest.preset} uses {manifest.runtime}, not TensorRT",
            hint="it needs no TensorRT plan: run appliance up; only exports with --preset tensorrt-… need one",
        )
    current = store.current(manifest)
    if current is not None:
        try:
            return read_record(current).key.profile
        except ApplianceError:
            # The caller will build the plan again and report why.
            pass
    context = min(of_target.context_tokens, manifest.shape.context_tokens)
    return Profile(of_target.slots, context, min(of_target.chunk_tokens, context))
