"""Runs Triton and the gateway together, restarts them after a crash, and drains them at the end."""
