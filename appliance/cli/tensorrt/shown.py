"""How a plan is shown: its record for scripts, and its state among the others of its model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from appliance.errors import ApplianceError
from appliance.tensorrt.open_plan import read_record
from appliance.tensorrt.plan_store import PlanStore
from appliance.tensorrt.record import PlanRecord


def state(store: PlanStore, plan: Path) -> str:
    """Its place among the plans of its artefact: "current", "previous" or "old"."""
    if store.is_current(plan):
        return "current"
    return "previous" if store.is_previous(plan) else "old"


def document(store: PlanStore, plan: Path, record: PlanRecord) -> dict[str, Any]:
    """The record for scripts, with the plan's state and folder."""
    return {**record.to_fields(), "state": state(store, plan), "folder": str(plan)}


def record_or_fault(plan: Path) -> tuple[PlanRecord | None, str]:
    """The record of a plan, or else why it cannot be believed."""
    try:
        return read_record(plan), ""
    except ApplianceError as error:
        return None, error.message
