"""What a step of the graph computed, wherever it lies. Only what is asked for is brought to main memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from appliance.engine.candidates import Candidates


class Logits(Protocol):
    """Logits of a step's rows, valid until the runner's next call.

    Both methods may raise EngineError: a device reports here what went wrong in the step.
    """

    def rows(self, indices: Sequence[int]) -> NDArray[np.float32]:
        """Return whole rows, [len(indices), vocabulary], which the caller may change; a row is asked for once."""

    def candidates(self, indices: Sequence[int]) -> Candidates | None:
        """Return the likeliest tokens of these rows; None where nothing but whole rows was computed."""
