"""The rules for the parameters of OpenAI's Responses API that its schema does not contain. Tables, no I/O."""

from __future__ import annotations

from appliance.gateway.bodies.other_servers import number_of_tokens
from appliance.gateway.bodies.parameter_policy import Hint, ParameterPolicy, Refused, Synonym
from appliance.gateway.openai.parameters import SHARED_HINTS

POLICY = ParameterPolicy(
    refused={
        "background": Refused("the client must wait for the response", (False,)),
        "background_options": Refused("the client must wait for the response"),
        "conversation": Refused("the box does not store conversations; use previous_response_id"),
        "moderation": Refused("the box has no moderation"),
        "prompt": Refused("the box does not store prompt templates"),
        "image": Refused("all input is text"),
    },
    hints={
        **SHARED_HINTS,
        "access_programs": Hint("the box has no access programs"),
        "personality": Hint("the box cannot control personality"),
        "max_tool_calls": Hint("it limits built-in tools; the box has none"),
        "context_management": Hint("the box does not compact the context", ([],)),
        "truncation": Hint("a too long prompt is an error; the box does not shorten it", ("disabled",)),
    },
    synonyms={"max_tokens": Synonym("max_output_tokens", number_of_tokens, "negative: no maximum")},
)
