"""The hardware that models are exported for, as TOML files: capabilities, memory and required versions."""

from appliance.targets.load import fitting, get, targets
from appliance.targets.target import Board, PlanProfile, PowerMode, Target, VersionRange

__all__ = ["Board", "PlanProfile", "PowerMode", "Target", "VersionRange", "fitting", "get", "targets"]
