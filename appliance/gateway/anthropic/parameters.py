"""The rules for the parameters of Anthropic's Messages API that its schema does not contain. Tables, no I/O."""

from __future__ import annotations

from appliance.gateway.bodies.parameter_policy import Hint, ParameterPolicy, Refused
from appliance.gateway.refusals import UnsupportedThreadError

_END_USER = Hint("identifies an end user of the application")
_NO_COMPACTION = Hint("the box does not compact the context")
_NO_FALLBACKS = Hint("the box has no fallback models", ([],))

POLICY = ParameterPolicy(
    refused={
        "container": Refused("the box has no containers"),
        "mcp_servers": Refused("the box does not contact other servers", ([],)),
        "inference_geo": Refused("the box does not have a configured location"),
        # The tool runner of Anthropic's clients sends this parameter, and continues without it after this error.
        "thread": Refused("the box does not store conversations; send all messages", error=UnsupportedThreadError),
    },
    hints={
        "metadata": _END_USER,
        "user_profile_id": _END_USER,
        "billing_policy": Hint("the box does not bill"),
        "cache_control": Hint("the prefix cache uses the content of the prompt, while it has space"),
        "service_tier": Hint("the box has only one service tier", ("auto", "standard_only")),
        "speed": Hint("the box has only one speed", ("standard",)),
        "context_management": _NO_COMPACTION,
        "compaction": _NO_COMPACTION,
        "diagnostics": Hint("the box does not compare requests"),
        "fallbacks": _NO_FALLBACKS,
        "fallback_credit_token": _NO_FALLBACKS,
    },
)
