"""The engine's asynchronous interface to the grammar of one completion. This module computes nothing."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from appliance.errors import ApplianceError
from appliance.inference.structured_output import StructuredOutput


class Constraint(Protocol):
    """The state of one completion in its grammar. For one thread; no call blocks.

    Attributes:
        error: why the grammar allows no further token; None without an error.
        is_complete: the text matches, and nothing can be added to it.
    """

    error: ApplianceError | None
    is_complete: bool

    def open(self) -> None:
        """Start to compile the grammar."""

    @property
    def is_ready(self) -> bool:
        """Whether the answer to `open` or to the last `accept` has arrived. The other members hold its content."""

    def forbidden(self) -> NDArray[np.bool_]:
        """Which tokens may not come next: [tokens], a copy."""

    def accept(self, token: int) -> None:
        """Send the chosen token and request the mask for the next token."""

    def close(self) -> None:
        """Release all resources."""

    def fileno(self) -> int:
        """A file descriptor that becomes readable when the answer arrives."""


class ConstraintSource(Protocol):
    """Creates the constraints of an engine's requests."""

    def matcher(self, wanted: StructuredOutput) -> Constraint:
        """Return a constraint that has not been opened. Thread-safe."""

    def close(self) -> None:
        """Release all resources. Close the constraints first."""
