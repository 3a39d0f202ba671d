"""The hardware that models are exported for, as data files: what it can do, what it holds, which versions it needs."""

from appliance.targets.load import fitting, get, targets
from appliance.targets.target import Board, PlanProfile, PowerMode, Target, VersionRange

__all__ = ["Board", "PlanProfile", "PowerMode", "Target", "VersionRange", "fitting", "get", "targets"]
