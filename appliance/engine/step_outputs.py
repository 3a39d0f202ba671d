"""The memory for the outputs of a step, and the methods that read them. This module runs nothing.

A graph may list the likeliest tokens of each row in addition to the whole rows. The lists are contiguous, so that one
copy brings all of them to main memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from appliance.artefact import ModelShape
from appliance.engine.candidates import Candidates
from appliance.engine.memory import Memory, Region

LOGITS, IDS, LISTED, NORMALISER = "logits", "candidate_ids", "candidate_logits", "log_normaliser"
_FLOAT, _INT64 = 1, 7  # ONNX's numbers for element types
_ALIGNMENT = 256


@dataclass(frozen=True)
class Tensor:
    """A tensor in a runner's memory.

    Attributes:
        name: the tensor's name in the graph.
        element_type: ONNX's number for the element type.
        shape: dimensions of the tensor.
        address: address of the first element.
    """

    name: str
    element_type: int
    shape: tuple[int, ...]
    address: int


class StepOutputs:
    """The memory of a step's outputs, for batches of up to `rows` rows."""

    def __init__(self, memory: Memory, shape: ModelShape, rows: int, listed: int) -> None:
        """Reserve the memory.

        Args:
            memory: the memory to reserve from.
            shape: shape of the model.
            rows: maximum number of rows of a step.
            listed: number of likeliest tokens that the graph lists for each row; 0 if it lists none.

        Raises:
            NoSpaceError: there is not enough memory.
        """
        self._memory = memory
        self._shape = shape
        self._listed = listed
        self._logits = memory.reserve(rows * shape.vocabulary * 4)
        self._list = memory.reserve(_Layout(rows, listed).size_bytes) if listed else None

    def tensors(self, rows: int) -> Iterator[Tensor]:
        """The output tensors of a step with `rows` rows."""
        yield Tensor(LOGITS, _FLOAT, (rows, self._shape.vocabulary), self._logits.address)
        if self._list is not None:
            layout, start = _Layout(rows, self._listed), self._list.address
            yield Tensor(IDS, _INT64, (rows, self._listed), start)
            yield Tensor(LISTED, _FLOAT, (rows, self._listed), start + layout.logits)
            yield Tensor(NORMALISER, _FLOAT, (rows,), start + layout.normaliser)

    def logits(self, rows: int, skip: int) -> StepLogits:
        """The logits of a step with `rows` rows, without the first `skip` rows."""
        return StepLogits(self._memory, self._shape, self._logits, rows, skip, self._list, self._listed)


class StepLogits:
    """Logits in a runner's memory. See `Logits`."""

    def __init__(
        self,
        memory: Memory,
        shape: ModelShape,
        logits: Region,
        rows: int,
        skip: int,
        listing: Region | None,
        listed: int,
    ) -> None:
        self._memory = memory
        self._shape = shape
        self._logits = logits
        self._rows = rows
        self._skip = skip
        self._listing = listing
        self._listed = listed

    def rows(self, indices: Sequence[int]) -> NDArray[np.float32]:
        """See `Logits`. Consecutive rows are read at once; in main memory, without a copy."""
        wanted = list(indices)
        if wanted == list(range(wanted[0], wanted[0] + len(wanted))):
            return self._read(wanted[0], len(wanted))
        return np.concatenate([self._read(index, 1) for index in wanted])

    def candidates(self, indices: Sequence[int]) -> Candidates | None:
        """See `Logits`."""
        if self._listing is None:
            return None
        layout = _Layout(self._rows, self._listed)
        content = self._memory.fetch(self._listing, 0, np.uint8, (layout.size_bytes,))
        chosen = [self._skip + index for index in indices]
        ids = content[: layout.logits].view(np.int64)[: self._rows * self._listed]
        logits = content[layout.logits : layout.normaliser].view(np.float32)[: self._rows * self._listed]
        normaliser = content[layout.normaliser :].view(np.float32)
        return Candidates(
            logits.reshape(self._rows, self._listed)[chosen],
            ids.reshape(self._rows, self._listed)[chosen],
            normaliser[chosen],
            self._shape.tokens,
        )

    def _read(self, row: int, count: int) -> NDArray[np.float32]:
        columns = self._shape.vocabulary
        return self._memory.fetch(self._logits, (self._skip + row) * columns * 4, np.float32, (count, columns))


class _Layout:
    """The offsets of the parts of a step's lists, in bytes; the ids come first."""

    def __init__(self, rows: int, listed: int) -> None:
        self.logits = _aligned(rows * listed * 8)
        self.normaliser = self.logits + _aligned(rows * listed * 4)
        self.size_bytes = self.normaliser + rows * 4


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
