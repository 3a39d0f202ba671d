"""The rules for the parameters of OpenAI's chat and completions that their schemas do not contain. Tables, no I/O."""

from __future__ import annotations

from appliance.gateway.bodies import other_servers
from appliance.gateway.bodies.parameter_policy import Hint, ParameterPolicy, Refused, Synonym

CHAT = "chat"
COMPLETIONS = "completions"

_END_USER = Hint("identifies an end user of the application")
_CACHE = Hint("the box caches prefixes while the cache has space")
# Of chat and of the Responses API.
SHARED_HINTS = {
    "user": _END_USER,
    "safety_identifier": _END_USER,
    "client_metadata": other_servers.HINTS["client_metadata"],
    "service_tier": Hint("the box has only one service tier", ("auto", "default")),
    "prompt_cache_key": Hint("the prefix cache uses the content of the prompt"),
    "prompt_cache_retention": _CACHE,
    "prompt_cache_options": _CACHE,
}

POLICIES = {
    CHAT: ParameterPolicy(
        refused={
            **other_servers.REFUSED,
            "prompt": Refused("use messages instead", ("",)),
            "suffix": Refused("use /v1/completions instead", ("",)),
            "echo": Refused("use /v1/completions instead", (False,)),
            "best_of": Refused("the box does not rank answers; use n for several answers", (1,)),
            "truncate_prompt_tokens": Refused("it would cut the chat template; leave out the oldest messages instead"),
            "functions": Refused("use tools instead", ([],)),
            "function_call": Refused("use tool_choice instead", ("none", "auto")),
            "modalities": Refused("all answers are text", (["text"],)),
            "audio": Refused("all answers are text"),
            "web_search_options": Refused("the box does not contact other servers"),
            "moderation": Refused("the box has no moderation"),
        },
        hints={
            **other_servers.HINTS,
            **SHARED_HINTS,
            "metadata": Hint("is for stored completions; the box stores none"),
            "store": Hint("chat completions are not stored", (False,)),
            "verbosity": Hint("the box cannot control verbosity", ("medium",)),
            "prediction": Hint("it only saves time; the box finds repetitions of the prompt itself"),
        },
        synonyms={**other_servers.SYNONYMS, **other_servers.CHAT_SYNONYMS},
    ),
    COMPLETIONS: ParameterPolicy(
        refused={
            **other_servers.REFUSED,
            "messages": Refused("use /v1/chat/completions instead", ([],)),
            "tools": Refused("use /v1/chat/completions instead", ([],)),
        },
        hints={**other_servers.HINTS, "user": _END_USER},
        synonyms={**other_servers.SYNONYMS, "max_completion_tokens": Synonym("max_tokens")},
    ),
}
