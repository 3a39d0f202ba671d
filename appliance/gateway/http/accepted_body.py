"""Reads and checks the JSON body of a request with parameters, and reports those that are ignored."""

from __future__ import annotations

from starlette.requests import Request

from appliance.gateway.bodies.accepted import accept
from appliance.gateway.bodies.json_body import Body, read_object
from appliance.gateway.bodies.parameter_policy import ParameterPolicy
from appliance.gateway.http.body import body_for_gateway, body_for_model
from appliance.gateway.http.ignored import note_ignored, note_renamed
from appliance.gateway.services import Services


async def accepted_for_model(request: Request, services: Services, kind: type[Body], policy: ParameterPolicy) -> Body:
    """Return the checked body of a request for a model; raises as `body_for_model` and `accept` do."""
    return _accepted(request, services, kind, policy, await body_for_model(request, services))


async def accepted_for_gateway(request: Request, services: Services, kind: type[Body], policy: ParameterPolicy) -> Body:
    """Return the checked body of a request that the gateway answers; raises as `body_for_gateway` and `accept` do."""
    return _accepted(request, services, kind, policy, await body_for_gateway(request, services))


def _accepted(request: Request, services: Services, kind: type[Body], policy: ParameterPolicy, content: bytes) -> Body:
    accepted = accept(kind, policy, read_object(content), services.settings.unknown_parameters)
    note_ignored(request, accepted.ignored)
    note_renamed(request, accepted.renamed)
    return accepted.body
