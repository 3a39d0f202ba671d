"""Checks whether NVIDIA's TensorRT Edge-LLM could be used on this machine.

It does not serve requests yet; docs/jetson.md lists what is missing.
"""

from appliance.edgellm.probe import EdgeLlm, State, probe

__all__ = ["EdgeLlm", "State", "probe"]
