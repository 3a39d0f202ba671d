"""The services that all APIs share: models, answering, running requests, limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from appliance.errors import PromptTooLongError, RequestError, UnavailableError
from appliance.gateway.access.client_address import ClientAddress
from appliance.gateway.access.door import Door
from appliance.gateway.access_log import Record
from appliance.gateway.answering.answering import Answering
from appliance.gateway.answering.in_flight import InFlight
from appliance.gateway.answering.wait_estimator import WaitEstimator
from appliance.gateway.chat.served_model import ServedModel, ServedModels
from appliance.gateway.metrics.ledger import Ledger
from appliance.gateway.settings import Settings
from appliance.gateway.triton.completion import CompletionRequest
from appliance.gateway.triton.questions import Questions
from appliance.gateway.triton.readiness import Readiness
from appliance.inference.sampling import MAX_PROMPT_FIGURES


@dataclass(frozen=True)
class Services:
    """See the module."""

    settings: Settings
    models: ServedModels
    questions: Questions
    answering: Answering
    in_flight: InFlight
    readiness: Readiness
    waits: WaitEstimator
    ledger: Ledger
    door: Door
    clients: ClientAddress

    def record(self, request_id: str, *, path: str, **fields: Any) -> Record:
        """Create the record of a request, which logs and counts it at its end; `path` has a closed set of values."""
        return Record(request_id, self.ledger.count, path=path, **fields)

    def check_ready(self) -> None:
        """Check that a request would be accepted now.

        Raises:
            ShuttingDownError, OverloadedError: see `InFlight.check_open`.
            UnavailableError: a model, or Triton, is not ready.
        """
        self.in_flight.check_open()
        if waiting := self.readiness.waiting_for:
            raise UnavailableError(f"not ready: {', '.join(waiting)}")

    def request(
        self,
        request_id: str,
        model: ServedModel,
        prompts: Sequence[Sequence[int]],
        sampling: Mapping[str, Any],
        *,
        stream: bool,
        timeout_s: float | None = None,
        client_names: Mapping[str, str] | None = None,
        choices: int = 1,
        clips: bool = False,
    ) -> CompletionRequest:
        """Return the request for Triton.

        Args:
            request_id: see CompletionRequest.
            model: the model.
            prompts: the tokens of each prompt.
            sampling: see CompletionRequest.
            stream: see CompletionRequest.
            timeout_s: shortens the box's own limit.
            client_names: see CompletionRequest.
            choices: number of answers to each prompt.
            clips: a `max_tokens` that exceeds the context means the remaining context, instead of an error.

        Raises:
            PromptTooLongError: prompt and completion do not fit the model's context.
            RequestError: the log-probabilities of all prompts are too many.
        """
        names = client_names or {}
        _check_figures(prompts, sampling.get("prompt_logprobs"), choices)
        context = model.manifest.shape.context_tokens
        longest = max(map(len, prompts))
        if longest + sampling.get("max_tokens", 0) > context:
            if not clips:
                param = names.get("max_tokens", "max_tokens")
                raise PromptTooLongError(
                    f"{param} {sampling['max_tokens']} plus the prompt's {longest} tokens exceed the context of"
                    f" {context}",
                    hint=f"set {param} to at most {context - longest}",
                    param=param,
                )
            # Without max_tokens, the engine uses the remaining context.
            sampling = {name: value for name, value in sampling.items() if name != "max_tokens"}
        limit = self.settings.timeout_s if timeout_s is None else min(timeout_s, self.settings.timeout_s)
        return CompletionRequest(request_id, model.name, prompts, sampling, stream, limit, names, choices)


def _check_figures(prompts: Sequence[Sequence[int]], wanted: int | None, choices: int) -> None:
    """Check the log-probabilities of all prompts together; the engine checks those of each prompt."""
    if wanted is None:
        return
    tokens = sum(map(len, prompts)) * choices
    if tokens * (wanted + 1) > MAX_PROMPT_FIGURES:
        raise RequestError(
            f"prompt_logprobs {wanted} for {tokens} tokens of prompts, counted once for each answer, is more than"
            f" {MAX_PROMPT_FIGURES} log-probabilities in one request",
            hint="lower prompt_logprobs, or send several requests",
            param="prompt_logprobs",
        )
