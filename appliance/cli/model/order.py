"""Orders the running box to load or unload a model, over the gateway's own socket."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import quote

from appliance import http
from appliance.cli.box import Box
from appliance.errors import EngineError, UnavailableError, with_exit_code
from appliance.supervisor import state

# The box itself ends a load after serve.load_timeout_s.
_TIMEOUT_S = 3600.0


def order(box: Box, verb: str, name: str) -> str:
    """Send the order and wait until it is done; returns the model's state.

    Args:
        box: the box.
        verb: "load" or "unload".
        name: the model.

    Raises:
        UnavailableError: no box runs here.
        ApplianceError: the box could not obey; the type follows its exit code.
    """
    if state.read(box.layout.run) is None:
        raise UnavailableError("this box is not serving a model", hint="start it: appliance up MODEL")
    path = f"/models/{quote(name, safe='')}/{verb}"
    answer = asyncio.run(http.post(box.layout.gateway_socket, path, _TIMEOUT_S))
    if answer is None:
        raise UnavailableError("the gateway does not answer", hint="appliance status shows how the box is doing")
    status, text = answer
    document = json.loads(text)
    if status == http.OK:
        return str(document["state"])
    error = document["error"]
    raise (with_exit_code(error["exit_code"]) or EngineError)(error["message"], hint=error["hint"])
