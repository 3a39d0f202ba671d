"""What a Jetson board says about its heat and power, and how many sequences may run in that heat. It sets nothing."""

from appliance.jetson.board import Board, Trip, Zone
from appliance.jetson.figures import figures
from appliance.jetson.read import read_board
from appliance.jetson.watch import HeatWatch

__all__ = ["Board", "HeatWatch", "Trip", "Zone", "figures", "read_board"]
