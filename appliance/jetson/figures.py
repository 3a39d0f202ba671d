"""The values of a board by the names of their metrics. Unknown values are omitted."""

from __future__ import annotations

from collections.abc import Mapping

from appliance.jetson.board import Board


def figures(board: Board, allowed: int) -> dict[str, float | Mapping[str, float]]:
    """The fields of `appliance.metrics.names.BOARD`. A field with a further label maps the label's values to numbers.

    Args:
        board: a reading of the board.
        allowed: number of sequences that may run at the board's temperature.
    """
    throttled = None if board.throttled_by is None else float(bool(board.throttled_by))
    known: dict[str, float | None] = {
        "slots_allowed": allowed,
        "board_headroom_celsius": board.headroom_c,
        "board_throttled": throttled,
        "board_overcurrent_total": board.overcurrent_events,
        "board_power_watts": board.power_w,
        "board_gpu_hertz": board.gpu_hz,
    }
    return {
        **{field: value for field, value in known.items() if value is not None},
        "board_temperature_celsius": {zone.name: zone.celsius for zone in board.zones if zone.celsius is not None},
        "board_power_mode": {board.power_mode: 1.0} if board.power_mode else {},
    }
