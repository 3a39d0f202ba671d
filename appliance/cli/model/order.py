"""Orders the running box to load or unload a model, over the gateway's own socket."""

from __future__ import annotations

from appliance.cli import gateway
from appliance.cli.box import Box
from appliance.errors import UnavailableError, UnknownModelError
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
        UnknownModelError: it does not serve the model.
        ApplianceError: the box could not obey; the type follows its exit code.
    """
    up = state.read(box.layout.run)
    if up is None:
        raise UnavailableError("this box is not serving a model", hint="start it: appliance up MODEL")
    if name not in up.names:
        raise UnknownModelError(
            f"this box does not serve the model {name!r}", hint=f"served models: {', '.join(up.names)}"
        )
    return str(gateway.order(box, f"/models/{name}/{verb}", _TIMEOUT_S)["state"])
