"""What a completion's text must match, as the engine's steps see it: asked, and answered later. It computes nothing."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from appliance.errors import ApplianceError
from appliance.inference.structured_output import StructuredOutput


class Constraint(Protocol):
    """Where one completion stands in its grammar. For one thread; no call waits.

    Attributes:
        error: why nothing can come next any more; None while all is well.
        is_complete: the text matches, and nothing can be added to it.
    """

    error: ApplianceError | None
    is_complete: bool

    def open(self) -> None:
        """Begin to compile the grammar."""

    @property
    def is_ready(self) -> bool:
        """Whether the answer to `open`, or to the last `accept`, has come. The rest says what it was."""

    def forbidden(self) -> NDArray[np.bool_]:
        """Which tokens may not come next, [tokens]; a copy."""

    def accept(self, token: int) -> None:
        """Ask what may come after a token that was chosen."""

    def close(self) -> None:
        """Give everything back."""

    def fileno(self) -> int:
        """A descriptor that can be read once the answer has come."""


class ConstraintSource(Protocol):
    """What makes the constraints of an engine's requests."""

    def matcher(self, wanted: StructuredOutput) -> Constraint:
        """Return a constraint that has not been opened. Thread-safe."""

    def close(self) -> None:
        """Give everything back, after the constraints."""
