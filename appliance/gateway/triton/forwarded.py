"""A request of Triton's own protocol that is forwarded to Triton. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ForwardedRequest:
    """One checked inference request, without a principal: the principal comes from authentication.

    Attributes:
        message: the ModelInferRequest.
        served: the model's name if the gateway serves it; None for another model of the same Triton.
        timeout_s: seconds after which the call ends.
        is_unary: whether it is sent with ModelInfer, which has one answer, instead of ModelStreamInfer.
    """

    message: Any
    served: str | None
    timeout_s: float
    is_unary: bool = False
