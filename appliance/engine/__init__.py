"""Continuous batching of one exported model: requests in, tokens out. It knows no Triton, HTTP or torch."""

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
