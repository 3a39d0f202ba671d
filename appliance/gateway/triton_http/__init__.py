"""Triton's own HTTP API for clients, within the gateway's rules: what was checked goes on to Triton, nothing else."""
