"""Anthropic's Messages API: what it accepts, and the bytes of its answers."""
