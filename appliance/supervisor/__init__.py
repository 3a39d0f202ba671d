"""Runs Triton and the gateway under one roof, starts them again when they crash, and drains them at the end."""
