"""Requests to Triton and its answers."""
