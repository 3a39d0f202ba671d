"""Reports to the routes whether a model answers one request."""

from __future__ import annotations

import asyncio

from appliance.errors import ApplianceError
from appliance.gateway.routing.model_routes import ModelRoutes


class Health:
    """The health of one model, as one request sees it."""

    def __init__(self, routes: ModelRoutes, model: str) -> None:
        """Begin; the request is sent now."""
        self._routes = routes
        self._model = model
        self._clock = asyncio.get_running_loop().time
        self._began_at = self._clock()
        self._has_answered = False

    def answers(self) -> None:
        """Note a piece of the answer."""
        if not self._has_answered:
            self._has_answered = True
            self._routes.answered(self._model)

    def fails(self, error: ApplianceError) -> None:
        """Note that the request failed. An answer that had begun is no evidence against the model's next one."""
        if not self._has_answered:
            self._routes.failed(self._model, error, self._clock() - self._began_at)
