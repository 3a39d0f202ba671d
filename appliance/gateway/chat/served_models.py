"""All models that the box serves: those that generate text, embedding models and rerankers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, TypeVar

from appliance.artefact.folder import read_manifest
from appliance.artefact.manifest import EMBEDDING, RERANKING, does
from appliance.errors import RequestError, UnknownModelError, UsageError
from appliance.gateway.chat.embedding_model import EmbeddingModel
from appliance.gateway.chat.reranking_model import RerankingModel
from appliance.gateway.chat.served_model import ServedModel

AnyModel = ServedModel | EmbeddingModel | RerankingModel
Model = TypeVar("Model", ServedModel, EmbeddingModel, RerankingModel)
# Which API serves the models of each kind, and what they are called.
_KINDS: Mapping[type[AnyModel], tuple[str, str]] = {
    ServedModel: ("/v1/chat/completions", "models that generate text"),
    EmbeddingModel: ("/v1/embeddings", "embedding models"),
    RerankingModel: ("/v1/rerank", "rerankers"),
}


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
        return self._of(ServedModel, name, "does not generate text")

    def embedder(self, name: str) -> EmbeddingModel:
        """Return the embedding model with this name or alias.

        Raises:
            UnknownModelError: this model is not served.
            RequestError: the model has another task.
        """
        return self._of(EmbeddingModel, name, "is not an embedding model")

    def reranker(self, name: str) -> RerankingModel:
        """Return the reranker with this name or alias.

        Raises:
            UnknownModelError: this model is not served.
            RequestError: the model has another task.
        """
        return self._of(RerankingModel, name, "is not a reranker")

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

    def _of(self, kind: type[Model], name: str, lack: str) -> Model:
        """Return the model with this name or alias; `lack` says of others what they are not."""
        model = self.any(name)
        if isinstance(model, kind):
            return model
        others = [one.name for one in self.all if isinstance(one, kind)]
        path, _ = _KINDS[type(model)]
        _, plural = _KINDS[kind]
        raise RequestError(
            f"{model.name} {does(model.manifest.task_name)}; it {lack}",
            hint=f"{plural} of this box: {', '.join(others)}" if others else f"use {path} for this model",
            param="model",
        )


def load_model(folder: Path) -> AnyModel:
    """Load an artefact; raises as `ServedModel.load` does."""
    task = read_manifest(folder).task_name
    if task == EMBEDDING:
        return EmbeddingModel.load(folder)
    return RerankingModel.load(folder) if task == RERANKING else ServedModel.load(folder)
