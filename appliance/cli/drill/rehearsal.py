"""Rehearses one trigger: clients ask, the trigger fires, the route falls back, the trigger ends, the route returns."""

from __future__ import annotations

import time
from dataclasses import dataclass

from appliance.cli.box import Box
from appliance.cli.door import Door
from appliance.cli.drill.clients import Clients, Seen
from appliance.cli.drill.triggers import TRIGGERS
from appliance.errors import UnavailableError

# How long clients ask before the trigger and after the fallback, so that each figure has requests behind it.
_STEADY_S = 1.0
_FALL_BACK_S = 120.0
_RETURN_S = 300.0
# The model loads again, or its breaker lets a trial through.
_CLIENTS = 3


@dataclass(frozen=True)
class Rehearsed:
    """What clients saw of one trigger.

    Attributes:
        trigger: its name.
        preferred: the model that answered before.
        answered_by: the model that answered first after the trigger; None: no model did.
        first_answer_s: seconds from the trigger to the end of this answer.
        back_s: seconds from the end of the trigger to the end of the first answer of the preferred model; None: it did
            not come back.
        requests: requests in all.
        lost: requests that failed.
        errors: their different reasons.
        longest_s: seconds of the request that took longest, and was answered.
        continued: answers of other models in the middle of a conversation.
    """

    trigger: str
    preferred: str
    answered_by: str | None
    first_answer_s: float | None
    back_s: float | None
    requests: int
    lost: int
    errors: tuple[str, ...]
    longest_s: float
    continued: int

    @property
    def has_passed(self) -> bool:
        """Whether the route fell back and returned."""
        return self.first_answer_s is not None and self.back_s is not None


def rehearse(box: Box, door: Door, route: str, trigger: str, deadline_s: float) -> Rehearsed:
    """Rehearse a trigger on the running box.

    Args:
        box: the box.
        door: its gRPC address.
        route: the route.
        trigger: the name of the trigger.
        deadline_s: seconds after which a client gives a request up.

    Raises:
        UnavailableError: the route does not answer before the trigger.
        ApplianceError: the trigger itself cannot be done.
    """
    with Clients(door, route, _CLIENTS, deadline_s) as clients:
        first = clients.wait_for(_is_answered, 0.0, _FALL_BACK_S)
        if first is None:
            raise UnavailableError(f"the route {route} does not answer", hint=f"appliance route show {route}")
        time.sleep(_STEADY_S)
        preferred = first.model
        with TRIGGERS[trigger](box, preferred):
            fired_at = time.monotonic()
            # The preferred model itself can answer if the box has replaced its process.
            other = clients.wait_for(
                lambda one: _is_answered(one) and (one.model != preferred or one.begun_at > fired_at),
                fired_at,
                _FALL_BACK_S,
            )
            if other is not None:
                time.sleep(_STEADY_S)
            ended_at = time.monotonic()
        back = clients.wait_for(lambda one: one.model == preferred and one.begun_at > ended_at, ended_at, _RETURN_S)
    seen = clients.seen
    return Rehearsed(
        trigger=trigger,
        preferred=preferred,
        answered_by=other.model if other is not None else None,
        first_answer_s=other.ended_at - fired_at if other is not None else None,
        back_s=back.ended_at - ended_at if back is not None else None,
        requests=len(seen),
        lost=sum(bool(one.error) for one in seen),
        errors=tuple(sorted({one.error for one in seen if one.error})),
        longest_s=max(one.ended_at - one.begun_at for one in seen if not one.error),
        continued=sum(one.turns > 0 and one.model not in ("", preferred) for one in seen),
    )


def _is_answered(one: Seen) -> bool:
    return not one.error
