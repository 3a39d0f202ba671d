"""A token's log-probability in the format of OpenAI's chats and responses, with the token's bytes."""

from __future__ import annotations

from typing import Any

from appliance.token_bytes import TokenBytes


def token_figures(tokens: TokenBytes, token: int, logprob: float) -> dict[str, Any]:
    """The token's JSON fields."""
    content = tokens.name(token)
    return {"token": text_of_bytes(content), "logprob": logprob, "bytes": list(content)}


def text_of_bytes(content: bytes) -> str:
    r"""The text; the bytes of an incomplete character are escaped as OpenAI does, for example `\xf0\x9f`."""
    return content.decode("utf-8", "backslashreplace")
