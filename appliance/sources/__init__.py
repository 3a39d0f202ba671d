"""Where checkpoints come from: package parts of an index, or a local folder. Everything is verified on its way in."""

from appliance.sources.local import pull_local
from appliance.sources.pip_settings import PipSettings
from appliance.sources.pull import Reporter, pull

__all__ = ["PipSettings", "Reporter", "pull", "pull_local"]
