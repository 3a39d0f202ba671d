"""The table that maps our errors to HTTP and gRPC statuses and OpenAI's error codes. It formats no response."""

from __future__ import annotations

from dataclasses import dataclass

import grpc

from appliance.errors import (
    ApplianceError,
    DeadlineError,
    EngineError,
    OverloadedError,
    PromptTooLongError,
    RequestError,
    UnavailableError,
    UnknownModelError,
)
from appliance.gateway.refusals import (
    BodyTimeoutError,
    BodyTooLargeError,
    BodyTypeError,
    ClientGoneError,
    ForbiddenError,
    ForbiddenMethodError,
    LimitError,
    LostConversationError,
    ShuttingDownError,
    UnauthenticatedError,
    UnknownHostError,
    UnknownMethodError,
    UnknownPathError,
    UnknownResponseError,
    WithdrawnError,
)


@dataclass(frozen=True)
class Outcome:
    """How clients see an error.

    Attributes:
        http: status code.
        grpc: status code.
        kind: OpenAI's `type`.
        code: OpenAI's `code`; empty means null.
        retry_after_s: seconds after which a retry makes sense; None if a retry does not help.
        closes: whether the HTTP connection closes after the answer, because the rest of the body is not read.
    """

    http: int
    grpc: grpc.StatusCode
    kind: str
    code: str = ""
    retry_after_s: int | None = None
    closes: bool = False


_INVALID = "invalid_request_error"
_SERVER = "server_error"

# A class covers its subclasses; the nearest ancestor in the table applies.
TABLE: dict[type[ApplianceError], Outcome] = {
    RequestError: Outcome(400, grpc.StatusCode.INVALID_ARGUMENT, _INVALID),
    PromptTooLongError: Outcome(400, grpc.StatusCode.INVALID_ARGUMENT, _INVALID, "context_length_exceeded"),
    ForbiddenMethodError: Outcome(403, grpc.StatusCode.PERMISSION_DENIED, _INVALID, "method_not_open"),
    UnknownModelError: Outcome(404, grpc.StatusCode.NOT_FOUND, _INVALID, "model_not_found"),
    LostConversationError: Outcome(400, grpc.StatusCode.NOT_FOUND, _INVALID, "previous_response_not_found"),
    UnknownResponseError: Outcome(404, grpc.StatusCode.NOT_FOUND, _INVALID, "response_not_found"),
    UnknownPathError: Outcome(404, grpc.StatusCode.UNIMPLEMENTED, _INVALID, "not_found"),
    UnknownMethodError: Outcome(405, grpc.StatusCode.UNIMPLEMENTED, _INVALID, "method_not_allowed"),
    BodyTooLargeError: Outcome(413, grpc.StatusCode.RESOURCE_EXHAUSTED, _INVALID, "body_too_large", closes=True),
    BodyTimeoutError: Outcome(408, grpc.StatusCode.DEADLINE_EXCEEDED, _INVALID, "body_timeout", closes=True),
    BodyTypeError: Outcome(415, grpc.StatusCode.INVALID_ARGUMENT, _INVALID, "unsupported_media_type"),
    UnknownHostError: Outcome(421, grpc.StatusCode.INVALID_ARGUMENT, _INVALID, "unknown_host"),
    UnauthenticatedError: Outcome(401, grpc.StatusCode.UNAUTHENTICATED, _INVALID, "invalid_api_key"),
    WithdrawnError: Outcome(403, grpc.StatusCode.PERMISSION_DENIED, "permission_error", "model_withdrawn"),
    ForbiddenError: Outcome(403, grpc.StatusCode.PERMISSION_DENIED, "permission_error", "insufficient_scope"),
    LimitError: Outcome(429, grpc.StatusCode.RESOURCE_EXHAUSTED, "rate_limit_error", "rate_limit_exceeded", 1),
    OverloadedError: Outcome(429, grpc.StatusCode.RESOURCE_EXHAUSTED, "rate_limit_error", "overloaded", 1),
    # 499 is nginx's status; it is only logged, because the client no longer receives answers.
    ClientGoneError: Outcome(499, grpc.StatusCode.CANCELLED, _INVALID, "client_gone"),
    ApplianceError: Outcome(500, grpc.StatusCode.INTERNAL, _SERVER),
    EngineError: Outcome(500, grpc.StatusCode.INTERNAL, _SERVER, "engine_error"),
    UnavailableError: Outcome(503, grpc.StatusCode.UNAVAILABLE, _SERVER, "unavailable", 2),
    ShuttingDownError: Outcome(503, grpc.StatusCode.UNAVAILABLE, _SERVER, "shutting_down", 5),
    DeadlineError: Outcome(504, grpc.StatusCode.DEADLINE_EXCEEDED, "timeout_error", "deadline_exceeded"),
}


def outcome(error: ApplianceError) -> Outcome:
    """Return the row of the nearest ancestor class."""
    return next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)


def param(error: ApplianceError) -> str:
    """Return the invalid request field, or an empty string."""
    if isinstance(error, UnknownModelError):
        return "model"
    return error.param if isinstance(error, RequestError) else ""


def retry_after_s(error: ApplianceError) -> int | None:
    """Return the seconds after which a retry makes sense; None if a retry does not help."""
    return error.retry_after_s if isinstance(error, LimitError) else outcome(error).retry_after_s
