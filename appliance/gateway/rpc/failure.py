"""Converts our errors to gRPC's rich statuses: `google.rpc.Status` in the trailers (AIP-193). It sends nothing."""

from __future__ import annotations

import re
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2 as details
from google.rpc import status_pb2
from grpc_status import rpc_status

from appliance.errors import ApplianceError
from appliance.gateway.error_table import outcome, param, retry_after_s
from appliance.gateway.refusals import PassedOnError

DOMAIN = "appliance"
# Clients accept 8 kB of trailers by default. The trailers contain the text twice, once of them escaped.
_MAX_CHARACTERS = 512
# gRPC sends only these characters; a call that should end with other characters fails.
_NOT_PRINTABLE = re.compile(r"[^ -~]")
_WORD_BEGINS = re.compile(r"(?<=[a-z])(?=[A-Z])")


def status_of(error: ApplianceError) -> grpc.StatusCode:
    """Return the status code of the call."""
    return error.status if isinstance(error, PassedOnError) else outcome(error).grpc


def text_of(error: ApplianceError) -> str:
    """Return the message, shortened to fit into trailers: it may quote text from the client."""
    text = str(error)
    return text if len(text) <= _MAX_CHARACTERS else f"{text[:_MAX_CHARACTERS]}…"


def trailers(error: ApplianceError, request_id: str) -> tuple[tuple[str, str | bytes], ...]:
    """Return the trailing metadata of a call that ends with this error."""
    found: list[tuple[str, str | bytes]] = [("x-request-id", request_id)]
    if name := param(error):
        found.append(("x-error-param", _NOT_PRINTABLE.sub("?", name[:_MAX_CHARACTERS])))
    if (wait_s := retry_after_s(error)) is not None:
        found.append(("retry-after", str(wait_s)))
    rich = status_pb2.Status(code=status_of(error).value[0], message=text_of(error))
    for each in _details(error, request_id):
        packed = Packed()
        packed.Pack(each)
        rich.details.append(packed)
    return (*found, *rpc_status.to_status(rich).trailing_metadata)


def reason(error: ApplianceError) -> str:
    """Return `ErrorInfo.reason`: the HTTP API's `code` in capitals, or the error's name if it has no code."""
    name = outcome(error).code or _WORD_BEGINS.sub("_", type(error).__name__)
    return name.upper()


def _details(error: ApplianceError, request_id: str) -> list[Any]:
    found = [
        details.ErrorInfo(reason=reason(error), domain=DOMAIN),
        details.RequestInfo(request_id=request_id),
    ]
    if name := param(error):
        violation = details.BadRequest.FieldViolation(field=name[:_MAX_CHARACTERS], description=text_of(error))
        found.append(details.BadRequest(field_violations=[violation]))
    if (seconds := retry_after_s(error)) is not None:
        found.append(details.RetryInfo(retry_delay=Duration(seconds=seconds)))
    return found
