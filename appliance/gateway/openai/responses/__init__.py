"""OpenAI's Responses API: what it accepts, the bytes of its answers, and the memory of them."""
