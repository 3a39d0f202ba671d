"""Asks the running box's gateway over its own socket."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from appliance import http
from appliance.cli.box import Box
from appliance.errors import EngineError, UnavailableError, with_exit_code


def order(box: Box, path: str, timeout_s: float = http.TIMEOUT_S) -> Any:
    """Send an order and wait until it is done; returns the document of the answer.

    Raises:
        UnavailableError: the gateway does not answer.
        ApplianceError: it could not obey; the type follows its exit code.
    """
    return _document(asyncio.run(http.post(box.layout.gateway_socket, path, timeout_s)))


def ask(box: Box, path: str) -> Any:
    """Return a document of the gateway; raises as `order` does."""
    return _document(asyncio.run(http.get(box.layout.gateway_socket, path)))


def _document(answer: tuple[int, str] | None) -> Any:
    if answer is None:
        raise UnavailableError("the gateway does not answer", hint="appliance status shows how the box is doing")
    status, text = answer
    document = json.loads(text)
    if status == http.OK:
        return document
    error = document["error"]
    raise (with_exit_code(error["exit_code"]) or EngineError)(error["message"], hint=error["hint"])
