"""The NVIDIA GPU of the box: its properties, and the meaning of its errors. This package computes nothing."""

from appliance.gpu.failure import is_lasting, lost
from appliance.gpu.gpu import Gpu
from appliance.gpu.probe import find_gpu

__all__ = ["Gpu", "find_gpu", "is_lasting", "lost"]
