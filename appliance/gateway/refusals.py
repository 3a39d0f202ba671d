"""What only a front door refuses: branches of the error tree that no other part can raise."""

from __future__ import annotations

import grpc

from appliance.errors import ApplianceError, OverloadedError, RequestError, UnavailableError


class BodyTooLargeError(RequestError):
    """The request's body is over the limit."""


class BodyTimeoutError(RequestError):
    """The client took too long to send its body."""


class BodyTypeError(RequestError):
    """The request's body is not declared as JSON."""


class UnknownPathError(RequestError):
    """There is nothing at this path."""


class UnknownHostError(RequestError):
    """The request is addressed to a name that this box is not known by."""


class UnknownMethodError(RequestError):
    """The path does not take this method."""


class ClientGoneError(RequestError):
    """The client hung up or stopped reading; nobody reads the answer."""


class ShuttingDownError(UnavailableError):
    """The gateway is draining."""


class UnknownResponseError(RequestError):
    """No answer of this id is kept for this client."""


class LostConversationError(RequestError):
    """The answer that a request goes on from is not kept, or no longer."""


class UnsupportedThreadError(RequestError):
    """The request would have the box keep a conversation in the form of Anthropic's threads."""


class ForbiddenMethodError(RequestError):
    """The call would administer the model server, which is not for clients."""


class PassedOnError(ApplianceError):
    """The model server's own answer to a call that was passed on to it.

    Attributes:
        status: its gRPC status.
    """

    def __init__(self, message: str, status: grpc.StatusCode) -> None:
        super().__init__(message)
        self.status = status


class UnauthenticatedError(RequestError):
    """No good API key or client certificate came with the request."""


class ForbiddenError(RequestError):
    """The API key or certificate lacks the scope for this."""


class LimitError(OverloadedError):
    """The request is over a limit of its principal or of the box.

    Attributes:
        retry_after_s: seconds after which trying again makes sense.
    """

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message, hint=f"try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s
