"""OpenAI's HTTP API: what it accepts, and the bytes of its answers."""
