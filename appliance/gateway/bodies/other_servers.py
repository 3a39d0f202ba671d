"""Parameters of other servers that clients send at the top level of OpenAI's requests. Tables, no I/O.

Sources: the documentation of llama.cpp's server, Ollama, vLLM, text-generation-webui, TGI and OpenRouter.
"""

from __future__ import annotations

from typing import Any

from appliance.gateway.bodies.parameter_policy import Hint, Refused, Synonym

_SAMPLER = "the box has no such sampler; temperature, top_p, top_k and min_p have an effect"
_GUIDANCE = "the box has no classifier-free guidance"
_BEAMS = "the box has no beam search"
_CACHE = "the prefix cache uses the content of the prompt, and each principal has its own"
_HARDWARE = "appliance.toml sets this for all requests"
_MODEL_STAYS = "`keep_alive_s` of the model sets this; requests of Ollama's API can extend it"
_ROUTING = "the box answers with the model that `model` names, and contacts no other server"
_OUTPUT = "the answer is text without control tokens"
# The fields of an object with a switch for thinking that have an effect.
_OF_THINKING = ("effort", "type", "enabled")
_KINDS_OF_THINKING = ("enabled", "adaptive", "disabled")

SAMPLERS = (
    *("mirostat", "mirostat_mode", "mirostat_eta", "mirostat_tau", "tfs", "tfs_z", "typical", "typical_p", "top_a"),
    *("top_n_sigma", "xtc_probability", "xtc_threshold", "dry_multiplier", "dry_base", "dry_allowed_length"),
    *("dry_penalty_last_n", "dry_sequence_breakers", "dry_range", "dynatemp_range", "dynatemp_exponent"),
    *("dynamic_temperature", "dynatemp_low", "dynatemp_high", "epsilon_cutoff", "eta_cutoff", "smoothing_factor"),
    *("smoothing_curve", "repeat_last_n", "repetition_penalty_range", "no_repeat_ngram_size", "penalize_nl"),
    *("encoder_repetition_penalty", "penalty_alpha", "samplers"),
    *("sampler_order", "sampler_priority", "temperature_last"),
)
HINTS: dict[str, Hint] = {
    **dict.fromkeys(SAMPLERS, Hint(_SAMPLER)),
    "length_penalty": Hint(_BEAMS),
    "early_stopping": Hint(_BEAMS, (False,)),
    "cache_prompt": Hint(_CACHE, (True,)),
    "cache_salt": Hint(_CACHE),
    "id_slot": Hint(_CACHE),
    "n_keep": Hint("a too long prompt is an error; the box does not shorten it"),
    "num_keep": Hint("a too long prompt is an error; the box does not shorten it"),
    "num_batch": Hint(_HARDWARE),
    "num_gpu": Hint(_HARDWARE),
    "main_gpu": Hint(_HARDWARE),
    "num_thread": Hint(_HARDWARE),
    "use_mmap": Hint(_HARDWARE),
    "use_mlock": Hint(_HARDWARE),
    "keep_alive": Hint(_MODEL_STAYS),
    "priority": Hint("the box answers in the order in which requests arrive", (0,)),
    "request_id": Hint("the header x-request-id sets it"),
    "models": Hint(_ROUTING),
    "route": Hint(_ROUTING),
    "provider": Hint(_ROUTING),
    "transforms": Hint("a too long prompt is an error; the box does not shorten it", ([],)),
    "usage": Hint("answers always contain the usage; streams do with stream_options.include_usage"),
    "skip_special_tokens": Hint(_OUTPUT, (True,)),
    "spaces_between_special_tokens": Hint(_OUTPUT, (True,)),
    "include_stop_str_in_output": Hint("the answer ends before the stop string", (False,)),
    "include_reasoning": Hint("thinking is in reasoning_content", (True,)),
    "reasoning_format": Hint("thinking is in reasoning_content"),
    "thinking_budget": Hint("max_tokens includes thinking"),
    "timings_per_token": Hint("the usage of the answer contains the times", (False,)),
    "return_progress": Hint("the box does not report the progress of a prompt", (False,)),
    "client_metadata": Hint("describes the application"),
}
REFUSED: dict[str, Refused] = {
    "use_beam_search": Refused(_BEAMS, (False,)),
    "guidance_scale": Refused(_GUIDANCE, (1, 1.0)),
    "negative_prompt": Refused(_GUIDANCE, ("",)),
    "chat_template": Refused("the box uses the model's own chat template"),
    "documents": Refused("write the documents into a message", ([],)),
    "mm_processor_kwargs": Refused("all input is text"),
    "images": Refused("all input is text", ([],)),
    "image_data": Refused("all input is text", ([],)),
    "lora": Refused("the box has no adapters", ([],)),
    "logits_processors": Refused("the box runs no code of clients", ([],)),
    "plugins": Refused("the box has no plugins", ([],)),
    "enable_search": Refused("the box does not contact other servers", (False,)),
    "prompt_embeds": Refused("prompts are text or token ids"),
    "kv_transfer_params": Refused("the box shares its cache with no other server"),
}


def number_of_tokens(value: Any) -> Any:
    """A maximum of tokens: a negative number requests no maximum."""
    is_unlimited = isinstance(value, int) and not isinstance(value, bool) and value < 0
    return None if is_unlimited else value


def effort_of(value: Any) -> str:
    """`reasoning_effort` for a switch or an effort: true, "low".

    Raises:
        ValueError: it is neither.
    """
    if isinstance(value, bool):
        return "medium" if value else "none"
    if isinstance(value, str):
        return value
    raise ValueError("must be true, false or an effort")


def effort_of_thinking(value: Any) -> str | None:
    """`reasoning_effort` for an object with a switch or an effort: {"type": "disabled"}, {"effort": "low"}.

    Raises:
        ValueError: it is no object, or the effort or the switch has a wrong value.
    """
    if not isinstance(value, dict):
        return effort_of(value)
    effort, kind, switch = (value.get(name) for name in _OF_THINKING)
    if kind is not None:
        if kind not in _KINDS_OF_THINKING:
            raise ValueError("type must be enabled, adaptive or disabled")
        switch = kind != "disabled"
    if effort is not None and not isinstance(effort, str):
        raise ValueError("effort must be a text")
    if switch is not None and not isinstance(switch, bool):
        raise ValueError("enabled must be true or false")
    return effort if effort is not None or switch is None else effort_of(switch)


def format_of(value: Any) -> Any:
    """`response_format` for Ollama's `format`: "json", or a schema.

    Raises:
        ValueError: it is neither.
    """
    if value == "":
        return None
    if value == "json":
        return {"type": "json_object"}
    if isinstance(value, dict):
        return {"type": "json_schema", "json_schema": {"name": "format", "schema": value}}
    raise ValueError('must be "json" or a schema')


SYNONYMS: dict[str, Synonym] = {
    "repeat_penalty": Synonym("repetition_penalty"),
    "rep_pen": Synonym("repetition_penalty"),
    "n_predict": Synonym("max_tokens", number_of_tokens, "negative: no maximum"),
    "num_predict": Synonym("max_tokens", number_of_tokens, "negative: no maximum"),
    "max_new_tokens": Synonym("max_tokens", number_of_tokens, "negative: no maximum"),
    "stop_sequences": Synonym("stop"),
}
CHAT_SYNONYMS: dict[str, Synonym] = {
    "think": Synonym("reasoning_effort", effort_of, "a switch or an effort"),
    "enable_thinking": Synonym("reasoning_effort", effort_of, "a switch"),
    "thinking": Synonym(
        "reasoning_effort", effort_of_thinking, "`type`: `enabled`, `adaptive`, `disabled`", _OF_THINKING
    ),
    "reasoning": Synonym("reasoning_effort", effort_of_thinking, "`effort` or `enabled`", _OF_THINKING),
    "format": Synonym("response_format", format_of, '`"json"` or a schema'),
}
