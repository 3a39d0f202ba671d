"""Triton's own HTTP API for clients, within the gateway's rules. Triton's own server for it is off."""
