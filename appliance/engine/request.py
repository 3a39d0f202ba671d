"""A client's request to the engine, as a value. This class checks nothing: the engine does (see `check_request`)."""

from __future__ import annotations

from dataclasses import dataclass, field

from appliance.inference.sampling import SamplingParams


@dataclass(frozen=True)
class Request:
    """A prompt and the parameters of its completion.

    Attributes:
        request_id: unique among the live requests.
        prompt_ids: the prompt's tokens, at least one.
        sampling: see SamplingParams.
        principal: who sent the request. Principals never share cached prefixes, and they take turns at admission.
        adapter: name of an adapter of the model's weights; None for the model without an adapter.
        deadline: seconds of `time.monotonic()` after which the request ends; None means never.
    """

    request_id: str
    prompt_ids: tuple[int, ...]
    sampling: SamplingParams = field(default_factory=SamplingParams)
    principal: str = ""
    adapter: str | None = None
    deadline: float | None = None

    @property
    def prefix_salt(self) -> tuple[str, str | None]:
        """Principal and adapter. Only requests with the same salt share keys and values."""
        return self.principal, self.adapter
