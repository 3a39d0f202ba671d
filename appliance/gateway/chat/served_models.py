"""All models that the box serves: those that generate text, and embedding models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from appliance.artefact.folder import read_manifest
from appliance.artefact.manifest import EMBEDDING
from appliance.errors import RequestError, UnknownModelError, UsageError
from appliance.gateway.chat.embedding_model import EmbeddingModel
from appliance.gateway.chat.served_model import ServedModel

AnyModel = ServedModel | EmbeddingModel


class Chooser(Protocol):
    """The routes, see `ModelRoutes`."""

    @property
    def names(self) -> list[str]:
        """The names of the routes."""

    def choose(self, route: str) -> str:
        """Return the model of a route that answers the current request."""


class ServedModels:
    """The served models, by name.

    Attributes:
        aliases: other names that clients may ask for → names of served models.
    """

    def __init__(
        self,
        models: Iterable[AnyModel],
        aliases: Mapping[str, str] = MappingProxyType({}),
        routes: Chooser | None = None,
    ) -> None:
        """Create the set; aliases of models that are not served are left out.

        Raises:
            UsageError: two models have the same name, or an alias is the name of a model.
        """
        self._models: dict[str, AnyModel] = {}
        for model in models:
            if model.name in self._models:
                raise UsageError(f"two models are called {model.name}", hint="serve one of them")
            self._models[model.name] = model
        self.aliases = {alias: name for alias, name in aliases.items() if name in self._models}
        if hidden := sorted(self.aliases.keys() & self._models.keys()):
            raise UsageError(f"the alias {hidden[0]} is the name of a model", hint="choose another alias")
        self._routes = routes

    @property
    def routes(self) -> list[str]:
        """The names of the routes, without those that are also the name or the alias of a model."""
        names = self._routes.names if self._routes is not None else []
        return [name for name in names if name not in self._models and name not in self.aliases]

    def close(self) -> None:
        """End the subprocesses of the chat templates."""
        for model in self.text:
            if model.template is not None:
                model.template.close()

    @property
    def all(self) -> list[AnyModel]:
        """Every model, in the order of the artefacts."""
        return list(self._models.values())

    @property
    def text(self) -> list[ServedModel]:
        """The models that generate text, in the order of the artefacts."""
        return [model for model in self.all if isinstance(model, ServedModel)]

    def label(self, name: str) -> dict[str, str]:
        """Return the log's field for a model name; empty if the model is not served: clients can send any text."""
        known = self.aliases.get(name, name)
        return {"model": known} if known in self._models or known in self.routes else {}

    def any(self, name: str) -> AnyModel:
        """Return the model with this name or alias, or that a route chooses, whatever its task.

        Raises:
            UnknownModelError: this model is not served.
            UnavailableError: no model of the route can answer now.
        """
        known = self.aliases.get(name, name)
        if self._routes is not None and known in self.routes:
            known = self._routes.choose(known)
        try:
            return self._models[known]
        except KeyError:
            names = [*self._models, *self.routes]
            raise UnknownModelError(
                f"this box does not serve the model {name!r}", hint=f"served models: {', '.join(names)}"
            ) from None

    def get(self, name: str) -> ServedModel:
        """Return the model with this name or alias, which generates text.

        Raises:
            UnknownModelError: this model is not served.
            RequestError: the model has another task.
        """
        model = self.any(name)
        if not isinstance(model, ServedModel):
            raise RequestError(
                f"{model.name} is an embedding model; it does not generate text",
                hint=_instead([one.name for one in self.text], "models that generate text", "/v1/embeddings"),
                param="model",
            )
        return model

    def embedder(self, name: str) -> EmbeddingModel:
        """Return the embedding model with this name or alias.

        Raises:
            UnknownModelError: this model is not served.
            RequestError: the model has another task.
        """
        model = self.any(name)
        if not isinstance(model, EmbeddingModel):
            others = [one.name for one in self.all if isinstance(one, EmbeddingModel)]
            raise RequestError(
                f"{model.name} generates text; it is not an embedding model",
                hint=_instead(others, "embedding models", "/v1/chat/completions"),
                param="model",
            )
        return model

    def get_or_only(self, name: str | None) -> ServedModel:
        """Return the model with this name; without a name, the only model that generates text.

        Raises:
            UnknownModelError: this model is not served.
            RequestError: there is no name, and not exactly one such model; or the named model has another task.
        """
        if name is not None:
            return self.get(name)
        if len(self.text) != 1:
            raise RequestError(
                "the request names no model", hint=f"served models: {', '.join(self._models)}", param="model"
            )
        return self.text[0]


def load_model(folder: Path) -> AnyModel:
    """Load an artefact; raises as `ServedModel.load` does."""
    is_embedder = read_manifest(folder).task_name == EMBEDDING
    return EmbeddingModel.load(folder) if is_embedder else ServedModel.load(folder)


def _instead(names: Sequence[str], kind: str, path: str) -> str:
    return f"{kind} of this box: {', '.join(names)}" if names else f"use {path} for this model"
