"""The rules for the parameters of Ollama's API that its schema does not contain. Tables, no I/O."""

from __future__ import annotations

from typing import Any

from appliance.gateway.bodies import other_servers
from appliance.gateway.bodies.parameter_policy import Hint, ParameterPolicy, Refused, Synonym

CHAT = "chat"
GENERATE = "generate"

_TOO_LONG = Hint("a too long prompt is an error; the box does not shorten it", (False,))
_LOADING = Hint("appliance.toml sets this for all requests")
_NO_IMAGES = Refused("the box generates no images", (0,))
_NO_RENDERING = Refused("the box does not show the rendered prompt; see /v1/tokenize", (False,))
_SHARED_HINTS = {"truncate": _TOO_LONG, "shift": _TOO_LONG}
_NO_SAMPLING = Hint("a vector is not sampled", ({},))


def _number_of_tokens(value: Any) -> Any:
    """Ollama's `num_predict`: zero requests no maximum either."""
    is_zero = value == 0 and isinstance(value, int) and not isinstance(value, bool)
    return None if is_zero else other_servers.number_of_tokens(value)


POLICIES = {
    CHAT: ParameterPolicy(
        refused={"_debug_render_only": _NO_RENDERING},
        hints=_SHARED_HINTS,
    ),
    GENERATE: ParameterPolicy(
        refused={
            "template": Refused(
                "the box uses the model's own chat template; write the prompt yourself with raw", ("",)
            ),
            "context": Refused("send the conversation to /api/chat", ([],)),
            "images": Refused("all input is text", ([],)),
            "_debug_render_only": _NO_RENDERING,
            **dict.fromkeys(("width", "height", "steps"), _NO_IMAGES),
        },
        hints=_SHARED_HINTS,
    ),
}
OPTIONS = ParameterPolicy(
    hints={
        **{name: other_servers.HINTS[name] for name in other_servers.SAMPLERS},
        **{
            name: other_servers.HINTS[name]
            for name in ("num_keep", "num_batch", "num_gpu", "main_gpu", "num_thread", "use_mmap", "use_mlock")
        },
        **dict.fromkeys(
            ("numa", "low_vram", "f16_kv", "logits_all", "vocab_only", "embedding_only", "draft_num_predict"), _LOADING
        ),
        "penalize_newline": other_servers.HINTS["penalize_nl"],
    },
    synonyms={
        "repeat_penalty": Synonym("repetition_penalty"),
        "num_predict": Synonym("max_tokens", _number_of_tokens, "not positive: no maximum"),
    },
)
EMBED = ParameterPolicy(hints={"options": _NO_SAMPLING})
SHOW = ParameterPolicy(
    hints={
        name: Hint("the answer describes the model as it is")
        for name in ("system", "template", "options", "verbose", "license", "modelfile")
    },
    synonyms={"name": Synonym("model")},
)
