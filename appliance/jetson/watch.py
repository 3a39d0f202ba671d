"""Looks at the board once a second on a thread of its own, and keeps what the rule says. The engine only reads it."""

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
    """Knows how many sequences may run now.

    Attributes:
        board: the last look.
    """

    def __init__(self, slots: int, board: Board, read: Callable[[], Board | None], clock: Callable[[], float]) -> None:
        """Begin with a first look at the board; `look` takes the next ones."""
        self.board = board
        self._slots = slots
        self._read = read
        self._clock = clock
        self._allowance = allow(Allowance(slots, clock()), board.headroom_c, slots, clock())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heat", daemon=True)

    @classmethod
    def open(cls, slots: int, root: Path = Path("/")) -> HeatWatch | None:
        """Begin to watch; None if this machine is no Jetson.

        Args:
            slots: what the engine may fill on a cool board.
            root: the folder below which the board's files lie.
        """
        board = read_board(root)
        if board is None:
            return None
        watch = cls(slots, board, lambda: read_board(root), time.monotonic)
        watch._thread.start()
        return watch

    def allowed(self) -> int:
        """How many sequences may run now. It reads no file."""
        return self._allowance.slots

    def look(self) -> None:
        """Take another look at the board."""
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
