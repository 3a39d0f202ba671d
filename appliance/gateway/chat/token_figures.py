"""A token's log-probability as OpenAI's chats and responses tell it: with the bytes that the token stands for."""

from __future__ import annotations

from typing import Any

from appliance.token_bytes import TokenBytes


def token_figures(tokens: TokenBytes, token: int, logprob: float) -> dict[str, Any]:
    """The token's JSON fields."""
    content = tokens.name(token)
    return {"token": text_of_bytes(content), "logprob": logprob, "bytes": list(content)}


def text_of_bytes(content: bytes) -> str:
    r"""The text; bytes of a character that is not whole are written as OpenAI writes them, such as `\xf0\x9f`."""
    return content.decode("utf-8", "backslashreplace")
