"""The logits of a step, in main memory or on a device. Only the requested rows are copied to main memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from appliance.engine.candidates import Candidates


class Logits(Protocol):
    """Logits of a step's rows, valid until the runner's next call.

    Both methods may raise EngineError: a device may report an error of the step only here.
    """

    def rows(self, indices: Sequence[int]) -> NDArray[np.float32]:
        """Return whole rows, [len(indices), vocabulary]. The caller may change them and requests each row only once."""

    def candidates(self, indices: Sequence[int]) -> Candidates | None:
        """Return the likeliest tokens of these rows; None if the graph computes only whole rows."""
