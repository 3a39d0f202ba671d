"""Measures the engine on an NVIDIA GPU with random weights in real shapes: the values do not affect the time."""
