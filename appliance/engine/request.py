"""One client's request to the engine, as a value. It refuses nothing by itself: the engine knows the context."""

from __future__ import annotations

from dataclasses import dataclass, field

from appliance.inference.sampling import SamplingParams


@dataclass(frozen=True)
class Request:
    """What to complete and how.

    Attributes:
        request_id: unique among the requests that are alive.
        prompt_ids: the prompt's tokens, at least one.
        sampling: see SamplingParams.
        principal: who asks; cached prefixes are never shared between principals, and admission takes turns by it.
        adapter: name of what changes the model's weights for this request; None for the model as it is.
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
        """Keys and values are shared between requests of the same salt alone: the principal and the adapter."""
        return self.principal, self.adapter
