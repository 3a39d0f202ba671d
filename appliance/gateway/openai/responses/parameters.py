"""Parameters of OpenAI's Responses API that are not honoured: which are refused, and which are ignored."""

from __future__ import annotations

from appliance.gateway.bodies.treatment import Refused, Treatment

TREATMENT = Treatment(
    refused={
        "background": Refused("answers are made while the client waits", (False,)),
        "background_options": Refused("answers are made while the client waits"),
        "conversation": Refused("conversations are not kept; chain answers with previous_response_id"),
        "context_management": Refused("nothing is compacted", ([],)),
        "max_tokens": Refused("this API calls it max_output_tokens"),
        "max_tool_calls": Refused("it bounds built-in tools, and there are none"),
        "moderation": Refused("nothing is moderated"),
        "personality": Refused("personalities are not controlled"),
        "prompt": Refused("prompt templates are not kept"),
        "service_tier": Refused("there is one tier", ("auto", "default")),
        "truncation": Refused("a prompt that is too long is refused, not cut", ("disabled",)),
        "access_programs": Refused("there are none"),
        "image": Refused("input is text"),
    },
    ignored={
        "user": "names an end user of the application",
        "safety_identifier": "names an end user of the application",
        "prompt_cache_key": "prefixes are cached by their content",
        "prompt_cache_retention": "prefixes are cached as long as there is room",
        "prompt_cache_options": "prefixes are cached as long as there is room",
    },
)
