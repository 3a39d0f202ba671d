"""The sources of checkpoints: package parts from an index, or a local folder. All files are verified."""

from appliance.sources.described import Describe, Described
from appliance.sources.local import pull_local
from appliance.sources.pip_settings import PipSettings
from appliance.sources.pull import Reporter, pull

__all__ = ["Describe", "Described", "PipSettings", "Reporter", "pull", "pull_local"]
