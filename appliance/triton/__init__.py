"""Locates, configures, starts and monitors NVIDIA Triton on this machine. It runs no model itself."""
