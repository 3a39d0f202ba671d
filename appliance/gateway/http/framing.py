"""Strict HTTP/1.1 framing: rejects requests that two parsers could read differently, even where RFC 9112 allows them.

A proxy in front of the box and the box itself must agree where a request ends. Otherwise the box would read as the next
request what the proxy reads as a body, or the reverse.
"""

from __future__ import annotations

import re

import h11

# RFC 9112 allows a recipient to accept a bare LF as a line end (section 2.2) and to unfold folded lines (section 5.2).
_BARE_LF = re.compile(rb"(?<!\r)\n")
_FOLD = re.compile(rb"\n[ \t]")
_LENGTH, _CODING = b"content-length", b"transfer-encoding"
_CHUNKED_SINCE = b"1.1"


class Framing(h11.Connection):
    """h11's server side of a connection.

    Attributes:
        fault: the error in the request's framing, after `next_event` has rejected it.
    """

    def __init__(self, max_head_bytes: int) -> None:
        super().__init__(h11.SERVER, max_head_bytes)
        self.fault = ""
        self._max_head_bytes = max_head_bytes

    def next_event(self) -> h11.Event | type[h11.NEED_DATA | h11.PAUSED]:
        """See h11.Connection.

        Raises:
            h11.RemoteProtocolError: the request cannot be parsed, or can be parsed in more than one way.
        """
        before = self.trailing_data[0] if self.their_state is h11.IDLE else b""
        event = super().next_event()
        if isinstance(event, h11.Request):
            head = before[: len(before) - len(self.trailing_data[0])]
            # h11 checks only the size of incomplete headers, but complete headers may arrive at once.
            self.fault = "The headers are too long." if len(head) > self._max_head_bytes else _fault(head, event)
            if self.fault:
                raise h11.RemoteProtocolError(self.fault)
        return event


def _fault(head: bytes, request: h11.Request) -> str:
    """The error; empty if there is none. h11 itself rejects different lengths and codings other than chunked."""
    names = {name for name, _ in request.headers}
    if _LENGTH in names and _CODING in names:
        return "Content-Length and Transfer-Encoding cannot be used together."
    if _CODING in names and request.http_version < _CHUNKED_SINCE:
        return "HTTP/1.0 has no Transfer-Encoding."
    if _BARE_LF.search(head):
        return "A header line ends without CR."
    if _FOLD.search(head):
        return "A header continues on the next line."
    return ""
