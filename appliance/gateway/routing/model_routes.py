"""Chooses the model of a route that answers a request: the first that the site accepts, is loaded and works."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from appliance.errors import ApplianceError, DeadlineError, EngineError, UnavailableError
from appliance.gateway.loading.loaded_models import LoadedModels
from appliance.gateway.refusals import WithdrawnError
from appliance.gateway.routing import attempt
from appliance.gateway.routing.breaker import Breaker
from appliance.site.policy import Origin, Policy
from appliance.site.routes import Routes

# A request that ends earlier without a token says little about the model: its client chose a short deadline.
_LATE_S = 10.0


@dataclass(frozen=True)
class Decisions:
    """What the operator decided."""

    routes: Routes
    policy: Policy


class ModelRoutes:
    """See the module. It belongs to one event loop."""

    def __init__(
        self,
        origins: Mapping[str, Origin],
        loaded: LoadedModels,
        read: Callable[[], Decisions],
        clock: Callable[[], float],
    ) -> None:
        """Create the routes.

        Args:
            origins: each served model by name.
            loaded: which models are loaded.
            read: reads the operator's decisions.
            clock: returns monotonic seconds.

        Raises:
            UsageError: the decisions cannot be read.
        """
        self._origins = origins
        self._loaded = loaded
        self._read = read
        self._breakers = {name: Breaker(clock) for name in origins}
        self._decisions = read()

    def read_again(self) -> None:
        """Take over what the operator decided since then; raises as the constructor does."""
        self._decisions = self._read()

    @property
    def names(self) -> list[str]:
        """The names of the routes."""
        return list(self._decisions.routes.routes)

    def models(self, route: str) -> tuple[str, ...]:
        """The models of a route, in order."""
        return self._decisions.routes.models(route)

    def check(self, model: str) -> None:
        """Check that the site accepts a model.

        Raises:
            WithdrawnError: the site's policy refuses it.
        """
        if reason := self._decisions.policy.refusal(self._origins[model]):
            raise WithdrawnError(reason, hint="ask for another model")

    def choose(self, route: str) -> str:
        """Return the model that answers the current request.

        Raises:
            UnavailableError: no model of the route can answer; the message has the reasons.
        """
        trying = attempt.current()
        reasons = {model: trying.failed.get(model) or self._impediment(model) for model in self.models(route)}
        able = [model for model, reason in reasons.items() if not reason]
        if not able:
            listed = "; ".join(f"{model}: {reason}" for model, reason in reasons.items())
            raise UnavailableError(
                f"no model of the route {route} can answer now ({listed})", hint="try again in a few seconds"
            )
        # If all fail, perhaps because Triton restarts, a request that tries one of them is better than none.
        model = next((one for one in able if self._breakers[one].allows), able[0])
        trying.route, trying.model = route, model
        self._breakers[model].begin()
        return model

    def reason(self, model: str) -> str:
        """Why a route leaves out a model now; empty if it does not."""
        if reason := self._impediment(model):
            return reason
        return "" if self._breakers[model].allows else "it failed several times in a row"

    def _impediment(self, model: str) -> str:
        """Why no request may be sent to a model now, whatever its breaker says; empty if it may."""
        if model not in self._origins:
            return "this box does not serve it"
        if reason := self._decisions.policy.refusal(self._origins[model]):
            return reason
        refusal = self._loaded.refusal(model)
        return refusal.message if refusal is not None else ""

    def answered(self, model: str) -> None:
        """Note that a model has begun to answer a request."""
        self._breakers[model].succeeded()

    def failed(self, model: str, error: ApplianceError, waited_s: float) -> None:
        """Note how a request ended that a model has not answered after `waited_s` seconds."""
        if isinstance(error, EngineError) or (isinstance(error, DeadlineError) and waited_s >= _LATE_S):
            self._breakers[model].failed()
