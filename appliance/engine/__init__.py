"""Continuous batching of one exported model: requests in, tokens out. It knows no Triton, HTTP or torch."""
