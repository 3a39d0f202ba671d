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
from appliance.gateway.chat.served_model import ServedModel, ServedModels
from appliance.gateway.metrics.ledger import Ledger
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
        prompt_ids: Sequence[int],
        sampling: Mapping[str, Any],
        *,
        stream: bool,
        timeout_s: float | None = None,
        client_names: Mapping[str, str] | None = None,
        choices: int = 1,
    ) -> CompletionRequest:
        """Return the request for Triton; `timeout_s` shortens the box's own limit.

        Raises:
            PromptTooLongError: prompt and completion do not fit the model's context.
        """
        names = client_names or {}
        wanted = sampling.get("max_tokens")
        context = model.manifest.shape.context_tokens
        if wanted is not None and len(prompt_ids) + wanted > context:
            param = names.get("max_tokens", "max_tokens")
            raise PromptTooLongError(
                f"{param} {wanted} plus the prompt's {len(prompt_ids)} tokens exceed the context of {context}",
                hint=f"set {param} to at most {context - len(prompt_ids)}",
                param=param,
            )
        limit = self.settings.timeout_s if timeout_s is None else min(timeout_s, self.settings.timeout_s)
        return CompletionRequest(request_id, model.name, prompt_ids, sampling, stream, limit, names, choices)
