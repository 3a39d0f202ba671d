"""What only a front door refuses: branches of the error tree that no other part can raise."""

from __future__ import annotations

from appliance.errors import RequestError, UnavailableError


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
