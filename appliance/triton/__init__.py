"""NVIDIA Triton on this machine: found, told what to serve, started, asked how it is. It runs no model itself."""
