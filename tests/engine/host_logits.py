"""Logits that lie in main memory, where a test computed them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from appliance.engine.candidates import Candidates


class HostLogits:
    """Logits that lie in main memory already. See `Logits`."""

    def __init__(self, array: NDArray[np.float32]) -> None:
        """Wrap [rows, vocabulary]."""
        self._array = array

    def rows(self, indices: Sequence[int]) -> NDArray[np.float32]:
        """See `Logits`. All rows in their order are the array itself."""
        wanted = list(indices)
        if wanted == list(range(len(self._array))):
            return self._array
        chosen: NDArray[np.float32] = self._array[wanted]
        return chosen

    def candidates(self, indices: Sequence[int]) -> Candidates | None:  # noqa: ARG002 - the seam's form
        """See `Logits`. None: the whole rows are here."""
        return None
