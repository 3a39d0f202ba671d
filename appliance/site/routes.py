"""The routes of the site: names that clients ask for, each with the models that can answer, in order."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from appliance.document import Bounds
from appliance.errors import UnknownModelError, UsageError
from appliance.site import decision_file

_NAME = r"[A-Za-z0-9]([A-Za-z0-9._:/-]{0,94}[A-Za-z0-9])?"


@dataclass(frozen=True)
class Routes:
    """All routes.

    Attributes:
        routes: name of the route → names of models, the preferred model first.
    """

    routes: Mapping[str, tuple[str, ...]] = field(default_factory=dict, metadata=Bounds(least=0).metadata)

    @classmethod
    def load(cls, path: Path) -> Routes:
        """Read the file; raises as `decision_file.read` does."""
        return decision_file.read(cls, path)

    def save(self, path: Path) -> None:
        """Replace the file."""
        decision_file.write(self, path)

    def models(self, name: str) -> tuple[str, ...]:
        """The models of a route.

        Raises:
            UnknownModelError: there is no such route.
        """
        try:
            return self.routes[name]
        except KeyError:
            raise UnknownModelError(
                f"there is no route {name!r}",
                hint=f"routes: {', '.join(sorted(self.routes))}"
                if self.routes
                else "create it: appliance route set NAME MODEL OTHER_MODEL",
            ) from None

    def with_route(self, name: str, models: Sequence[str], taken: Collection[str]) -> Routes:
        """Return the routes with this route, in place of an earlier route with its name.

        Args:
            name: the route's name.
            models: its models.
            taken: names and aliases of models.

        Raises:
            UsageError: the name is not valid, or it is the name of a model; a model is named twice, or is a route.
        """
        if not re.fullmatch(_NAME, name):
            raise UsageError(f"{name!r} is not a name for a route", hint="use letters, digits and . _ : / -")
        if name in taken:
            raise UsageError(f"the route {name} would hide a model of this name", hint="choose another name")
        for model in models:
            if models.count(model) > 1:
                raise UsageError(f"the model {model} is named twice", hint="name each model once")
            if model in self.routes or model == name:
                raise UsageError(f"{model} is a route; a route consists of models", hint="name its models instead")
        return replace(self, routes={**self.routes, name: tuple(models)})

    def without(self, name: str) -> Routes:
        """Return the routes without this route; raises as `models` does."""
        self.models(name)
        return replace(self, routes={other: models for other, models in self.routes.items() if other != name})
