"""Reads temperature and power of a Jetson board, and limits the running sequences. It changes no board settings."""

from appliance.jetson.board import Board, Trip, Zone
from appliance.jetson.figures import figures
from appliance.jetson.read import read_board
from appliance.jetson.watch import HeatWatch

__all__ = ["Board", "HeatWatch", "Trip", "Zone", "figures", "read_board"]
