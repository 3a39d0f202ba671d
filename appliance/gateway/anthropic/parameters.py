"""Parameters of Anthropic's Messages API that the gateway does not support: which it rejects, and which it ignores."""

from __future__ import annotations

from appliance.gateway.bodies.parameter_policy import ParameterPolicy, Refused
from appliance.gateway.refusals import UnsupportedThreadError

POLICY = ParameterPolicy(
    refused={
        "container": Refused("the box has no containers"),
        "context_management": Refused("the box does not compact the context"),
        "mcp_servers": Refused("the box does not contact other servers", ([],)),
        "service_tier": Refused("the box has only one service tier", ("auto", "standard_only")),
        "speed": Refused("the box has only one speed", ("standard",)),
        "inference_geo": Refused("the box does not have a configured location"),
        "diagnostics": Refused("the box does not compare requests"),
        "compaction": Refused("the box does not compact the context"),
        "fallbacks": Refused("the box has no fallback models", ([],)),
        "fallback_credit_token": Refused("the box has no fallback models"),
        # The tool runner of Anthropic's clients sends this parameter, and continues without it after this error.
        "thread": Refused("the box does not store conversations; send all messages", error=UnsupportedThreadError),
    },
    ignored={
        "metadata": "identifies an end user of the application",
        "user_profile_id": "identifies an end user of the application",
        "billing_policy": "the box does not bill",
        "cache_control": "the prefix cache uses the content of the prompt, while it has space",
    },
)
