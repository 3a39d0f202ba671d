"""KServe's health calls, answered without Triton: clients without a key must not cause work there."""

from __future__ import annotations

from tritonclient.grpc import service_pb2

from appliance.errors import ApplianceError
from appliance.gateway.kserve import plain
from appliance.gateway.services import Services
from appliance.triton.model_process import VERSION

METHODS = frozenset({"ServerLive", "ServerReady", "ModelReady"})


def health(services: Services, method: str, message: bytes) -> bytes:
    """Return the answer to one of `METHODS`, from the last check of the models. An unknown model is not ready.

    Raises:
        RequestError: the bytes are not a request of this method.
    """
    if method == "ServerLive":
        plain.parse(service_pb2.ServerLiveRequest, message)
        return bytes(service_pb2.ServerLiveResponse(live=True).SerializeToString())
    if method == "ServerReady":
        plain.parse(service_pb2.ServerReadyRequest, message)
        return bytes(service_pb2.ServerReadyResponse(ready=_is_ready(services)).SerializeToString())
    asked = plain.parse(service_pb2.ModelReadyRequest, message)
    is_served = asked.name in {model.name for model in services.models.all} and asked.version in {"", VERSION}
    ready = is_served and services.readiness.is_ready(asked.name)
    return bytes(service_pb2.ModelReadyResponse(ready=ready).SerializeToString())


def _is_ready(services: Services) -> bool:
    try:
        services.check_ready()
    except ApplianceError:
        return False
    return True
