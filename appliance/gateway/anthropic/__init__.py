"""Anthropic's Messages API: its request bodies, and the bytes of its answers."""
