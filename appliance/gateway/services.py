"""The services that all APIs share: models, answering, running requests, limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from appliance.errors import PromptTooLongError, UnavailableError
from appliance.gateway.access.client_address import ClientAddress
from appliance.gateway.access.door import Door
from appliance.gateway.access_log import Record
from appliance.gateway.answering.answering import Answering
from appliance.gateway.answering.in_flight import InFlight
from appliance.gateway.answering.wait_estimator import WaitEstimator
from appliance.gateway.chat.served_model import ServedModel
from appliance.gateway.chat.served_models import ServedModels
from appliance.gateway.loading.loaded_models import LoadedModels
from appliance.gateway.log_probabilities import check_of_answers, check_of_prompts
from appliance.gateway.metrics.ledger import Ledger
from appliance.gateway.routing.model_routes import ModelRoutes
from appliance.gateway.settings import Settings
from appliance.gateway.triton.completion import CompletionRequest
from appliance.gateway.triton.questions import Questions
from appliance.gateway.triton.readiness import Readiness


@dataclass(frozen=True)
class Services:
    """See the module."""

    settings: Settings
    models: ServedModels
    questions: Questions
    answering: Answering
    loaded: LoadedModels
    routes: ModelRoutes
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
        keep_alive_s: float | None = None,
    ) -> CompletionRequest:
        """Return the request for Triton.

        Args:
            request_id: see CompletionRequest.
            model: the model.
            prompts: the tokens of each prompt.
            sampling: see CompletionRequest.
            stream: whether the client gets the answer in pieces.
            timeout_s: shortens the box's own limit.
            client_names: see CompletionRequest.
            choices: number of answers to each prompt.
            clips: a `max_tokens` that exceeds the context means the remaining context, instead of an error.
            keep_alive_s: see `LoadedModels.using`.

        Raises:
            PromptTooLongError: prompt and completion do not fit the model's context.
            RequestError: there are too many log-probabilities.
        """
        names = client_names or {}
        context = model.manifest.shape.context_tokens
        check_of_prompts(prompts, sampling, choices)
        if not stream:
            check_of_answers(prompts, sampling, choices, context, names)
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
        # The many log-probabilities of a prompt arrive in pieces, also for an answer that is not streamed.
        in_pieces = stream or "prompt_logprobs" in sampling
        return CompletionRequest(
            request_id, model.name, prompts, sampling, in_pieces, limit, names, choices, keep_alive_s
        )
