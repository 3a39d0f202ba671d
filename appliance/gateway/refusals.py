"""Errors that only the gateway raises; no other part of the box can raise them."""

from __future__ import annotations

import grpc

from appliance.errors import ApplianceError, OverloadedError, RequestError, UnavailableError


class BodyTooLargeError(RequestError):
    """The body of the request exceeds the size limit."""


class BodyTimeoutError(RequestError):
    """The client took too long to send its body."""


class BodyTypeError(RequestError):
    """The content type of the request is not JSON."""


class BodyCodingError(BodyTypeError):
    """The body has a content coding that the gateway does not read."""


class UnknownPathError(RequestError):
    """This path does not exist."""


class UnknownHostError(RequestError):
    """The host name of the request is not a name of this box."""


class UnknownMethodError(RequestError):
    """The path does not support this method."""


class ClientGoneError(RequestError):
    """The client disconnected or stopped reading before the response was complete."""


class ShuttingDownError(UnavailableError):
    """The gateway is draining: it finishes running requests and accepts no new ones."""


class UnknownResponseError(RequestError):
    """The box has not stored a response with this id for this client."""


class LostConversationError(RequestError):
    """The previous response is not stored, or no longer stored."""


class UnsupportedThreadError(RequestError):
    """The request asks the box to store a conversation as one of Anthropic's threads."""


class ForbiddenMethodError(RequestError):
    """The call would administer the model server; clients cannot do this."""


class PassedOnError(ApplianceError):
    """Triton's own error for a call that was forwarded to it.

    Attributes:
        status: its gRPC status.
    """

    def __init__(self, message: str, status: grpc.StatusCode) -> None:
        super().__init__(message)
        self.status = status


class UnauthenticatedError(RequestError):
    """The request has no valid API key or client certificate."""


class ForbiddenError(RequestError):
    """The API key or certificate does not have the scope for this request."""


class TooManyAnswersError(RequestError):
    """The request alone has more answers than a limit allows; each answer counts as one request."""

    def __init__(self, answers: int, whose: str, most: int, limit: str) -> None:
        """`whose` is the owner of the limit, `limit` its meaning and its name."""
        super().__init__(
            f"the request has {answers} answers, more than {whose}'s limit of {most} {limit}",
            hint="ask for fewer answers at once",
        )


class LimitError(OverloadedError):
    """The request exceeds a limit of its principal or of the box.

    Attributes:
        retry_after_s: seconds after which a retry makes sense.
    """

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message, hint=f"try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class WithdrawnError(RequestError):
    """The site's policy refuses the model."""
