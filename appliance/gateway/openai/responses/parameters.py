"""Unsupported parameters of OpenAI's Responses API: which are rejected, and which are ignored."""

from __future__ import annotations

from appliance.gateway.bodies.parameter_policy import ParameterPolicy, Refused

POLICY = ParameterPolicy(
    refused={
        "background": Refused("the client must wait for the response", (False,)),
        "background_options": Refused("the client must wait for the response"),
        "conversation": Refused("the box does not store conversations; use previous_response_id"),
        "context_management": Refused("the box does not compact the context", ([],)),
        "max_tokens": Refused("use max_output_tokens instead"),
        "max_tool_calls": Refused("it limits built-in tools; the box has none"),
        "moderation": Refused("the box has no moderation"),
        "personality": Refused("the box cannot control personality"),
        "prompt": Refused("the box does not store prompt templates"),
        "service_tier": Refused("the box has only one service tier", ("auto", "default")),
        "truncation": Refused("a too long prompt is an error; the box does not shorten it", ("disabled",)),
        "access_programs": Refused("the box has no access programs"),
        "image": Refused("all input is text"),
    },
    ignored={
        "user": "identifies an end user of the application",
        "safety_identifier": "identifies an end user of the application",
        "prompt_cache_key": "the prefix cache uses the content of the prompt",
        "prompt_cache_retention": "the box caches prefixes while the cache has space",
        "prompt_cache_options": "the box caches prefixes while the cache has space",
    },
)
