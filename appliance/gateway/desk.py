"""What both front ends share: the models on offer, the way to Triton, the requests under way, the limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from appliance.errors import PromptTooLongError
from appliance.gateway.access.door import Door
from appliance.gateway.access.visit import current
from appliance.gateway.completion import CompletionRequest
from appliance.gateway.in_flight import InFlight
from appliance.gateway.readiness import Readiness
from appliance.gateway.served_model import ServedModel, ServedModels
from appliance.gateway.settings import Settings
from appliance.gateway.triton_client import TritonClient


@dataclass(frozen=True)
class Desk:
    """See the module."""

    settings: Settings
    models: ServedModels
    triton: TritonClient
    in_flight: InFlight
    readiness: Readiness
    door: Door

    def request(
        self,
        request_id: str,
        model: ServedModel,
        prompt_ids: Sequence[int],
        sampling: Mapping[str, Any],
        *,
        stream: bool,
        timeout_s: float | None = None,
        prompt_param: str = "prompt",
    ) -> CompletionRequest:
        """Return the request for Triton; `timeout_s` shortens the box's own limit.

        Raises:
            PromptTooLongError: prompt and completion do not fit the model's context, or the prompt is over a limit.
            LimitError: too many tokens in this minute.
        """
        visit = current()
        wanted = sampling.get("max_tokens")
        context = model.manifest.shape.context_tokens
        if wanted is not None and len(prompt_ids) + wanted > context:
            raise PromptTooLongError(
                f"max_tokens {wanted} and the prompt's {len(prompt_ids)} tokens are more than the context of {context}",
                hint=f"at most {context - len(prompt_ids)} are left",
                param="max_tokens",
            )
        visit.reserve(len(prompt_ids), prompt_param)
        limit = self.settings.timeout_s if timeout_s is None else min(timeout_s, self.settings.timeout_s)
        return CompletionRequest(request_id, model.name, prompt_ids, sampling, stream, limit, prompt_param, visit)
