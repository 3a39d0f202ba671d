"""The NVIDIA GPU of the box: what it is, and what its errors mean. It computes nothing."""

from appliance.gpu.failure import is_lasting, lost
from appliance.gpu.gpu import Gpu
from appliance.gpu.probe import find_gpu

__all__ = ["Gpu", "find_gpu", "is_lasting", "lost"]
