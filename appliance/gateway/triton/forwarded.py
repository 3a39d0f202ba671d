"""A request of Triton's own protocol that goes on to Triton. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ForwardedRequest:
    """One inference, checked and without a principal: whose it is comes from who is authenticated.

    Attributes:
        message: the ModelInferRequest.
        served: the name of the model if it is one that we serve; None for another model of the same Triton.
        timeout_s: seconds after which the call ends.
        is_unary: whether it is asked with ModelInfer, which has one answer, and not with ModelStreamInfer.
    """

    message: Any
    served: str | None
    timeout_s: float
    is_unary: bool = False
