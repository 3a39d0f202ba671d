"""The box's store of plans. docs/formats/plan.md specifies it. It does not verify plans: see `open_plan`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from appliance.derived.store import DerivedStore, store_folder

PLAN = "plan"


@dataclass(frozen=True)
class PlanStore(DerivedStore):
    """The folder of one box's plans. See `DerivedStore`."""

    kind = "plans"

    @classmethod
    def of_plan(cls, plan: Path) -> PlanStore:
        """The store that contains this plan folder."""
        return cls(store_folder(plan))

    def timings(self, flavour: str, version: str, compute_capability: str) -> Path:
        """The path of the timing cache for one TensorRT and one kind of GPU."""
        return self.folder / "timing" / f"{flavour}-{version}-sm{compute_capability.replace('.', '')}.cache"
