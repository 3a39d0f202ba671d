"""Continuous batching for one exported model: requests in, tokens out. Independent of Triton, HTTP and torch."""
