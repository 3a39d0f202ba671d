"""Converts a request's `options` to the engine's sampling settings, with the publisher's defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from appliance.artefact.manifest import Generation
from appliance.config import UnknownParameters
from appliance.errors import RequestError
from appliance.gateway.bodies.accepted import accept
from appliance.gateway.bodies.sampling import SamplingBody, sampling
from appliance.gateway.ollama.parameters import OPTIONS
from appliance.gateway.ollama.schema import GenerateBody, OllamaChatBody, Options

_NAME = "options"
_RENAMED = {synonym.parameter: name for name, synonym in OPTIONS.synonyms.items()}
# The client's names of settings, by the engine's names.
CLIENT_NAMES = {
    **{name: f"{_NAME}.{_RENAMED.get(name, name)}" for name in SamplingBody.model_fields},
    "logprobs": "top_logprobs",
}


@dataclass(frozen=True)
class AskedOptions:
    """The options of one request.

    Attributes:
        sampling: the engine's settings.
        num_ctx: maximum of prompt plus answer; None: the model's context.
        ignored: the client's names of the options without effect.
    """

    sampling: dict[str, Any]
    num_ctx: int | None
    ignored: tuple[str, ...]


def options_of(body: OllamaChatBody | GenerateBody, defaults: Generation, unknown: UnknownParameters) -> AskedOptions:
    """Check the options, and add the log-probabilities, which Ollama has outside of them.

    Raises:
        RequestError: an option has a wrong value, or `top_logprobs` has no `logprobs`; the error names it.
    """
    try:
        accepted = accept(Options, OPTIONS, body.options or {}, unknown)
    except RequestError as error:
        param = f"{_NAME}.{error.param}" if error.param else _NAME
        raise RequestError(f"{_NAME}: {error.message}", hint=error.hint, param=param) from error
    settings = sampling(accepted.body, defaults)
    if body.logprobs:
        settings["logprobs"] = body.top_logprobs or 0
    elif body.top_logprobs is not None:
        raise RequestError("top_logprobs needs logprobs", param="top_logprobs")
    return AskedOptions(settings, accepted.body.num_ctx, tuple(f"{_NAME}.{name}" for name in accepted.ignored))
