"""One request's attempts: which route it asked for, and which models of the route have failed it.

The request's task has it as a context variable, because every API asks for its model in its own place.
"""

from __future__ import annotations

import contextvars
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from appliance.errors import ApplianceError, EngineError, UnavailableError
from appliance.gateway.refusals import ShuttingDownError, WithdrawnError

Result = TypeVar("Result")
_current: contextvars.ContextVar[Attempt | None] = contextvars.ContextVar("attempt", default=None)


@dataclass
class Attempt:
    """See the module.

    Attributes:
        route: the route that the request asked for; empty if it asked for a model.
        model: the model that the route gave it last.
        failed: the models that failed, with the reasons.
    """

    route: str = ""
    model: str = ""
    failed: dict[str, str] = field(default_factory=dict)

    def goes_on(self, error: ApplianceError) -> bool:
        """Whether another model of the route should answer instead; notes the failure."""
        # The site can refuse a model after the route has chosen it.
        is_fault = isinstance(error, EngineError | UnavailableError | WithdrawnError)
        is_fault = is_fault and not isinstance(error, ShuttingDownError)
        if not self.model or not is_fault:
            return False
        self.failed[self.model] = error.message
        self.model = ""
        return True


def current() -> Attempt:
    """The attempt of the current request; a new one for code that belongs to no request."""
    return _current.get() or Attempt()


async def with_fallback(run: Callable[[], Awaitable[Result]], has_begun: Callable[[], bool]) -> Result:
    """Run a request, and run it again with the next model of its route if a model fails before the answer begins.

    Args:
        run: runs the request from its beginning.
        has_begun: whether the client has received a part of the answer.

    Raises:
        UnavailableError: no model of the route can answer.
        ApplianceError: the request's own error.
    """
    attempt = Attempt()
    token = _current.set(attempt)
    try:
        while True:
            try:
                return await run()
            except ApplianceError as error:  # noqa: PERF203 - a route has few models
                if has_begun() or not attempt.goes_on(error):
                    raise
    finally:
        _current.reset(token)
