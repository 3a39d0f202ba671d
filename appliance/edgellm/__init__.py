"""NVIDIA's TensorRT Edge-LLM beside the engine: whether it could be used here.

It runs no request yet; docs/jetson.md says what is missing.
"""

from appliance.edgellm.probe import EdgeLlm, State, probe

__all__ = ["EdgeLlm", "State", "probe"]
