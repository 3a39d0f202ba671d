"""The gateway's client of Triton."""
