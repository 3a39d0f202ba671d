"""OpenAI's parameters that are not honoured: which are refused, with which values they pass, and which are ignored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from appliance.gateway.bodies import treatment

CHAT = "chat"
COMPLETIONS = "completions"
BOTH = frozenset({CHAT, COMPLETIONS})


@dataclass(frozen=True)
class Refused(treatment.Refused):
    """A parameter that would change the answer and cannot be honoured.

    Attributes:
        endpoints: where OpenAI has it.
    """

    endpoints: frozenset[str] = frozenset({CHAT})


@dataclass(frozen=True)
class Ignored:
    """A parameter that does not change the answer: it passes and has no effect."""

    why: str
    endpoints: frozenset[str] = frozenset({CHAT})


REFUSED: dict[str, Refused] = {
    "best_of": Refused("choices are not ranked; n gives several", (1,), endpoints=frozenset({COMPLETIONS})),
    "echo": Refused("the prompt is not repeated", (False,), endpoints=frozenset({COMPLETIONS})),
    "functions": Refused("its successor is tools", ([],)),
    "function_call": Refused("its successor is tool_choice", ("none", "auto")),
    "modalities": Refused("answers are text", (["text"],)),
    "audio": Refused("answers are text"),
    "prediction": Refused("predicted outputs are not used"),
    "verbosity": Refused("verbosity is not controlled", ("medium",)),
    "web_search_options": Refused("nothing leaves this box"),
    "store": Refused("nothing is stored", (False,)),
    "service_tier": Refused("there is one tier", ("auto", "default")),
    "moderation": Refused("nothing is moderated"),
}
IGNORED: dict[str, Ignored] = {
    "user": Ignored("names an end user of the application", BOTH),
    "safety_identifier": Ignored("names an end user of the application"),
    "metadata": Ignored("belongs to stored completions, and none are stored"),
    "prompt_cache_key": Ignored("prefixes are cached by their content"),
    "prompt_cache_retention": Ignored("prefixes are cached as long as there is room"),
    "prompt_cache_options": Ignored("prefixes are cached as long as there is room"),
}


TREATMENTS = {
    endpoint: treatment.Treatment(
        {name: row for name, row in REFUSED.items() if endpoint in row.endpoints},
        {name: row.why for name, row in IGNORED.items() if endpoint in row.endpoints},
    )
    for endpoint in BOTH
}


def honoured(body: Mapping[str, Any], endpoint: str) -> dict[str, Any]:
    """Return the body without the parameters that ask for nothing.

    Raises:
        RequestError: a parameter asks for what cannot be honoured; it is named.
    """
    return TREATMENTS[endpoint].honoured(body)
