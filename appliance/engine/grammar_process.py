"""The process of one completion's grammar: compiles the grammar, then computes a mask after each token."""

from __future__ import annotations

import os
import signal
import socket

from appliance.engine import grammar_budget as budget
from appliance.engine.grammar import Grammars, Matcher
from appliance.engine.grammar_wire import MAX_MESSAGE_BYTES, Kind, Reply, number_from_bytes
from appliance.errors import RequestError
from appliance.inference.structured_output import StructuredOutput


def serve(session: socket.socket, wanted: StructuredOutput, grammars: Grammars) -> None:
    """Compile the grammar and answer each token until the engine closes the socket.

    The kernel ends this process if it exceeds the limits of `grammar_budget`.
    """
    budget.bound_memory()
    budget.bound_time(budget.COMPILE_CPU_S)
    try:
        matcher = grammars.matcher(wanted)
        reply = Reply(Kind.OPEN, matcher.mask().tobytes())
    except RequestError as error:
        _send(session, Reply(Kind.ERROR, error.message.encode()))
        return
    except MemoryError:
        # The library ends the process in the same way if its own allocation fails.
        signal.signal(signal.SIGABRT, signal.SIG_DFL)
        os.abort()
    _send(session, reply)
    while message := session.recv(MAX_MESSAGE_BYTES):
        budget.bound_time(budget.STEP_CPU_S)
        _send(session, _advance(matcher, number_from_bytes(message)))


def _advance(matcher: Matcher, token: int) -> Reply:
    matcher.accept(token)
    if matcher.is_complete:
        return Reply(Kind.COMPLETE)
    mask = matcher.mask()
    if matcher.error or not mask.any():
        return Reply(Kind.ERROR, (matcher.error or "no text matches it").encode())
    return Reply(Kind.OPEN, mask.tobytes())


def _send(session: socket.socket, reply: Reply) -> None:
    budget.unbound_time()
    session.sendall(reply.to_bytes())
