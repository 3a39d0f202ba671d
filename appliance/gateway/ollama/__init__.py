"""Ollama's HTTP API: its request bodies, and the bytes of its answers."""
