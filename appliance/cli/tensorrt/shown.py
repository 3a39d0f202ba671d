"""Prints plans: the record for scripts, and the state of each plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from appliance.errors import ApplianceError
from appliance.tensorrt.open_plan import read_record
from appliance.tensorrt.plan_store import PlanStore
from appliance.tensorrt.record import PlanRecord


def state(store: PlanStore, plan: Path) -> str:
    """The plan's state among the plans of its artefact: "current", "previous" or "old"."""
    if store.is_current(plan):
        return "current"
    return "previous" if store.is_previous(plan) else "old"


def document(store: PlanStore, plan: Path, record: PlanRecord) -> dict[str, Any]:
    """The record for scripts, with the plan's state and folder."""
    return {**record.to_fields(), "state": state(store, plan), "folder": str(plan)}


def record_or_fault(plan: Path) -> tuple[PlanRecord | None, str]:
    """The record of a plan, or the error that makes it invalid."""
    try:
        return read_record(plan), ""
    except ApplianceError as error:
        return None, error.message
