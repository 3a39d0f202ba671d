"""Reads the board once a second in a separate thread, and keeps the allowance. The engine only reads the allowance."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from appliance.jetson.board import Board
from appliance.jetson.heat import Allowance, allow
from appliance.jetson.read import read_board

PERIOD_S = 1.0


class HeatWatch:
    """Keeps the number of sequences that may run now.

    Attributes:
        board: the last reading.
    """

    def __init__(self, slots: int, board: Board, read: Callable[[], Board | None], clock: Callable[[], float]) -> None:
        """Start with a first reading of the board; `look` makes the next readings."""
        self.board = board
        self._slots = slots
        self._read = read
        self._clock = clock
        self._allowance = allow(Allowance(slots, clock()), board.headroom_c, slots, clock())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heat", daemon=True)

    @classmethod
    def open(cls, slots: int, root: Path = Path("/")) -> HeatWatch | None:
        """Start to watch the board; None if this machine is no Jetson.

        Args:
            slots: slots that the engine may use on a cool board.
            root: root folder of the board's files.
        """
        board = read_board(root)
        if board is None:
            return None
        watch = cls(slots, board, lambda: read_board(root), time.monotonic)
        watch._thread.start()
        return watch

    def allowed(self) -> int:
        """Number of sequences that may run now. This method reads no file."""
        return self._allowance.slots

    def look(self) -> None:
        """Read the board again and update the allowance."""
        board = self._read()
        if board is not None:
            self.board = board
            self._allowance = allow(self._allowance, board.headroom_c, self._slots, self._clock())

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(PERIOD_S):
            self.look()
