"""Parameters of Anthropic's Messages API that are not honoured: which are refused, and which are ignored."""

from __future__ import annotations

from appliance.gateway.bodies.treatment import Refused, Treatment
from appliance.gateway.refusals import UnsupportedThreadError

TREATMENT = Treatment(
    refused={
        "container": Refused("there are no containers"),
        "context_management": Refused("nothing is compacted"),
        "mcp_servers": Refused("nothing leaves this box", ([],)),
        "service_tier": Refused("there is one tier", ("auto", "standard_only")),
        "speed": Refused("there is one speed", ("standard",)),
        "inference_geo": Refused("this box does not know where it stands"),
        "diagnostics": Refused("requests are not compared"),
        "compaction": Refused("nothing is compacted"),
        "fallbacks": Refused("no other model answers instead", ([],)),
        "fallback_credit_token": Refused("no other model answers instead"),
        # The tool runner of Anthropic's clients asks for one, and goes on without it after this refusal.
        "thread": Refused("conversations are not kept; send the whole one", error=UnsupportedThreadError),
    },
    ignored={
        "metadata": "names an end user of the application",
        "user_profile_id": "names an end user of the application",
        "billing_policy": "nothing is billed",
        "cache_control": "prefixes are cached by their content, as long as there is room",
    },
)
