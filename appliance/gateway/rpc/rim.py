"""The outermost layer of every gRPC call: request id, log line, errors as statuses. It is the same for all methods."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from appliance.errors import ApplianceError
from appliance.gateway.access.request_quota import principal_name
from appliance.gateway.access_log import Record, report_bug, request_id
from appliance.gateway.rpc.client import client_field
from appliance.gateway.rpc.failure import status_of, text_of, trailers
from appliance.gateway.services import Services


@contextlib.asynccontextmanager
async def answering(
    services: Services, context: Any, path: str, *, carries_requests: bool = False
) -> AsyncIterator[Record]:
    """Run one call inside the block: errors become a status, and the trailers contain the request id.

    Args:
        services: the services that all front ends share.
        context: the call's servicer context.
        path: service and method, for log and metrics.
        carries_requests: the call itself is not a request, but each of its messages is.
    """
    metadata = dict(context.invocation_metadata() or ())
    identity = request_id(metadata.get("x-request-id"))
    if carries_requests:
        record = Record(identity, event="stream", method="grpc", path=path)
    else:
        record = services.record(identity, method="grpc", path=path)
    record.fields |= client_field(services.clients, context)
    if (principal := principal_name()) is not None:
        record.fields["principal"] = principal
    context.set_trailing_metadata((("x-request-id", record.request_id),))
    failure: ApplianceError
    try:
        yield record
    except ApplianceError as error:
        failure = error
    except asyncio.CancelledError:
        record.close(status="CANCELLED")
        raise
    except Exception as error:  # noqa: BLE001  the process boundary
        failure = report_bug(record.request_id, error)
    else:
        if isinstance(model := record.fields.get("model"), str):
            context.set_trailing_metadata((("x-request-id", record.request_id), ("appliance-model", model)))
        record.close(status="OK")
        return
    status = status_of(failure)
    record.close(status=status.name, error=type(failure).__name__)
    await context.abort(status, text_of(failure), trailers(failure, record.request_id))
