"""The scopes that each HTTP path and gRPC service needs. Unlisted ones need `infer`, so none is open by mistake."""

from __future__ import annotations

import re

from appliance.auth.scope import Scope

_INFER = frozenset({Scope.INFER})
_SEE_MODELS = frozenset({Scope.INFER, Scope.READ})

# For load balancers, and for the chat page, which asks its user for a key.
_OPEN_PATHS = ("/health", "/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready", "/")
_OPEN_FOLDER = "/page/"
_OPEN_SERVICES = ("grpc.health.v1.Health",)
# KServe's health calls, which the operator can open: they tell also which models are loaded.
_HEALTH_PATH = re.compile(r"/v2/models/[^/]+(/versions/[^/]+)?/ready")
_HEALTH_METHODS = tuple(
    f"inference.GRPCInferenceService/{method}" for method in ("ServerLive", "ServerReady", "ModelReady")
)
# The metrics show what all clients do: a key with only `infer` cannot read them.
_PATHS = {
    "/v1/models": _SEE_MODELS,
    "/openapi.json": _SEE_MODELS,
    "/version": _SEE_MODELS,
    **dict.fromkeys(("/api/tags", "/api/show", "/api/ps", "/api/version"), _SEE_MODELS),
    "/metrics": frozenset({Scope.READ}),
}
_METHODS = {"appliance.v1.InferenceService/ListModels": _SEE_MODELS}
_SERVICES = {"grpc.reflection.v1alpha.ServerReflection": _SEE_MODELS}


def path_scopes(path: str, *, open_health: bool = False) -> frozenset[Scope] | None:
    """The scopes of an HTTP path: a principal needs one of them; None: the path is open to all.

    Args:
        path: the path.
        open_health: whether KServe's health calls are open to all.
    """
    if path in _OPEN_PATHS or path.startswith(_OPEN_FOLDER) or (open_health and _HEALTH_PATH.fullmatch(path)):
        return None
    return next((scopes for start, scopes in _PATHS.items() if path == start or path.startswith(f"{start}/")), _INFER)


def method_scopes(method: str, *, open_health: bool = False) -> frozenset[Scope] | None:
    """The scopes of a gRPC method, "/package.Service/Method"; see `path_scopes`."""
    name = method.removeprefix("/")
    service = name.partition("/")[0]
    if service in _OPEN_SERVICES or (open_health and name in _HEALTH_METHODS):
        return None
    return _METHODS.get(name) or _SERVICES.get(service, _INFER)
