"""Where a graph writes the logits of a step, and what is read of them. It runs nothing.

A graph may list each row's likeliest tokens beside the whole rows. What it lists lies together, so that one copy
brings it to main memory.
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
_FLOAT, _INT64 = 1, 7  # ONNX's numbers of element types
_ALIGNMENT = 256


@dataclass(frozen=True)
class Tensor:
    """A tensor in a runner's memory.

    Attributes:
        name: the graph's name for it.
        element_type: ONNX's number.
        shape: its dimensions.
        address: where it begins.
    """

    name: str
    element_type: int
    shape: tuple[int, ...]
    address: int


class StepOutputs:
    """The memory of a step's outputs, for batches of up to `rows` rows."""

    def __init__(self, memory: Memory, shape: ModelShape, rows: int, listed: int) -> None:
        """Reserve it.

        Args:
            memory: where.
            shape: of the model.
            rows: rows of a step at most.
            listed: likeliest tokens that the graph lists a row; 0 for a graph that lists none.

        Raises:
            NoSpaceError: there is not so much.
        """
        self._memory = memory
        self._shape = shape
        self._listed = listed
        self._logits = memory.reserve(rows * shape.vocabulary * 4)
        self._list = memory.reserve(_Layout(rows, listed).size_bytes) if listed else None

    def tensors(self, rows: int) -> Iterator[Tensor]:
        """The outputs of a step of so many rows."""
        yield Tensor(LOGITS, _FLOAT, (rows, self._shape.vocabulary), self._logits.address)
        if self._list is not None:
            layout, start = _Layout(rows, self._listed), self._list.address
            yield Tensor(IDS, _INT64, (rows, self._listed), start)
            yield Tensor(LISTED, _FLOAT, (rows, self._listed), start + layout.logits)
            yield Tensor(NORMALISER, _FLOAT, (rows,), start + layout.normaliser)

    def logits(self, rows: int, skip: int) -> StepLogits:
        """What a step of `rows` rows computed, without the first `skip` ones."""
        return StepLogits(self._memory, self._shape, self._logits, rows, skip, self._list, self._listed)


class StepLogits:
    """Logits that lie in a runner's memory. See `Logits`."""

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
        """See `Logits`. Rows that follow each other are read at once, in main memory without a copy."""
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
    """Where the parts of a step's listing begin; the ids come first."""

    def __init__(self, rows: int, listed: int) -> None:
        self.logits = _aligned(rows * listed * 8)
        self.normaliser = self.logits + _aligned(rows * listed * 4)
        self.size_bytes = self.normaliser + rows * 4


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
