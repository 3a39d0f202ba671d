"""OpenAI's Responses API: its request bodies, the bytes of its answers, and the store of its answers."""
