"""Continuous batching of one exported model: requests in, tokens out. It knows no Triton, HTTP or torch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from appliance.engine.config import EngineConfig
    from appliance.engine.engine import Engine
    from appliance.engine.events import Event, FinishEvent, FinishReason, TokenEvent, TokenLogprob, Usage
    from appliance.engine.request import Request
    from appliance.engine.sampling import SamplingParams
    from appliance.engine.stats import EngineStats
    from appliance.engine.stream import Sink
    from appliance.engine.tokenizer import Tokenizer

__all__ = [
    "Engine",
    "EngineConfig",
    "EngineStats",
    "Event",
    "FinishEvent",
    "FinishReason",
    "Request",
    "SamplingParams",
    "Sink",
    "TokenEvent",
    "TokenLogprob",
    "Tokenizer",
    "Usage",
]

_EVENTS = ("Event", "FinishEvent", "FinishReason", "TokenEvent", "TokenLogprob", "Usage")
_MODULES = {
    "Engine": "engine",
    "EngineConfig": "config",
    "EngineStats": "stats",
    "Request": "request",
    "SamplingParams": "sampling",
    "Sink": "stream",
    "Tokenizer": "tokenizer",
    **dict.fromkeys(_EVENTS, "events"),
}


def __getattr__(name: str) -> Any:
    """Import a name when it is first asked for: the processes of grammars need no graph's runtime."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value
