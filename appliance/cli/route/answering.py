"""Which model of each route answers now, as the running box says."""

from __future__ import annotations

from collections.abc import Mapping

from appliance.cli import gateway
from appliance.cli.box import Box
from appliance.supervisor import state

NOT_RUNNING = "the box does not run"


def reasons(box: Box) -> Mapping[str, Mapping[str, str]]:
    """Why each model of each route is left out now; "" for a model that is not left out. Empty if no box runs.

    Raises:
        UnavailableError: the running box does not answer.
    """
    if state.read(box.layout.run) is None:
        return {}
    found: Mapping[str, Mapping[str, str]] = gateway.ask(box, "/routes")
    return found


def answering(reasons: Mapping[str, str]) -> str | None:
    """The model that answers; None if none can."""
    return next((model for model, reason in reasons.items() if not reason), None)
