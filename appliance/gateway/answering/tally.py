"""What one completion request uses: tokens count against its quota, seconds improve the estimate of waits."""

from __future__ import annotations

from appliance.errors import ApplianceError
from appliance.gateway.access.request_quota import RequestQuota
from appliance.gateway.access_log import Record
from appliance.gateway.answering.health import Health
from appliance.gateway.answering.wait_estimator import WaitEstimator
from appliance.gateway.triton.completion import CompletionRequest, Delta, added, combined
from appliance.inference.events import Usage


class Tally:
    """See the module. It counts several answers, and each time that the model is asked again."""

    def __init__(
        self, record: Record, request: CompletionRequest, quota: RequestQuota, waits: WaitEstimator, health: Health
    ) -> None:
        """Begin; `record` is the request's log line, and the prompts are already reserved in `quota`."""
        self._health = health
        self._record = record
        self._request = request
        self._quota = quota
        self._waits = waits
        self._ends = [waits.begin(request.model) for _ in range(request.answers)]
        self._usages: dict[int, Usage] = {}

    def count(self, delta: Delta) -> None:
        """Count what a response of the model adds."""
        self._health.answers()
        if not delta.prompt_logprobs or delta.token_ids:
            self._record.first_token()
        self._quota.spend(len(delta.token_ids))
        if delta.usage is not None:
            self._ends[delta.choice](delta.usage.prefill_s + delta.usage.decode_s)
            self._usages[delta.choice] = added(self._usages.get(delta.choice, Usage()), delta.usage)
            self._record.used(combined(self._usages, self._request.choices))

    def refused(self, error: ApplianceError) -> None:
        """Give back the tokens that were reserved for a prompt that the engine did not compute."""
        self._health.fails(error)
        self._quota.give_back()

    def again(self) -> None:
        """Begin to count another answer to the same prompt; it replaces a complete answer.

        Raises:
            LimitError: there were too many tokens in this minute.
        """
        self._quota.reserve([len(self._request.prompts[0])], self._request.prompt_name)
        self._ends[0](None)
        self._ends[0] = self._waits.begin(self._request.model)

    def end(self) -> None:
        """End what is still counted as running."""
        for end in self._ends:
            end(None)
