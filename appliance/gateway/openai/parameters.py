"""OpenAI's unsupported parameters: which are rejected, which of their values are accepted, and which are ignored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from appliance.gateway.bodies import parameter_policy

CHAT = "chat"
COMPLETIONS = "completions"
BOTH = frozenset({CHAT, COMPLETIONS})


@dataclass(frozen=True)
class Refused(parameter_policy.Refused):
    """A parameter that would change the answer and is not supported.

    Attributes:
        endpoints: the endpoints for which OpenAI defines it.
    """

    endpoints: frozenset[str] = frozenset({CHAT})


@dataclass(frozen=True)
class Ignored:
    """A parameter that does not change the answer: it is accepted and has no effect."""

    why: str
    endpoints: frozenset[str] = frozenset({CHAT})


REFUSED: dict[str, Refused] = {
    "functions": Refused("use tools instead", ([],)),
    "function_call": Refused("use tool_choice instead", ("none", "auto")),
    "modalities": Refused("all answers are text", (["text"],)),
    "audio": Refused("all answers are text"),
    "prediction": Refused("the box does not use predicted outputs"),
    "verbosity": Refused("the box cannot control verbosity", ("medium",)),
    "web_search_options": Refused("the box does not contact other servers"),
    "store": Refused("chat completions are not stored", (False,)),
    "service_tier": Refused("the box has only one service tier", ("auto", "default")),
    "moderation": Refused("the box has no moderation"),
}
IGNORED: dict[str, Ignored] = {
    "user": Ignored("identifies an end user of the application", BOTH),
    "safety_identifier": Ignored("identifies an end user of the application"),
    "metadata": Ignored("is for stored completions; the box stores none"),
    "prompt_cache_key": Ignored("the prefix cache uses the content of the prompt"),
    "prompt_cache_retention": Ignored("the box caches prefixes while the cache has space"),
    "prompt_cache_options": Ignored("the box caches prefixes while the cache has space"),
}


POLICIES = {
    endpoint: parameter_policy.ParameterPolicy(
        {name: row for name, row in REFUSED.items() if endpoint in row.endpoints},
        {name: row.why for name, row in IGNORED.items() if endpoint in row.endpoints},
    )
    for endpoint in BOTH
}


def honoured(body: Mapping[str, Any], endpoint: str) -> dict[str, Any]:
    """Return the body without the parameters that have no effect.

    Raises:
        RequestError: a parameter has an unsupported value; the error names the parameter.
    """
    return POLICIES[endpoint].honoured(body)
