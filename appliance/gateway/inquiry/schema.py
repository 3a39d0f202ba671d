"""The request bodies of the tokeniser's endpoints, in vLLM's shapes. What is not a field here is refused by name."""

from __future__ import annotations

from pydantic import Field

from appliance.gateway.bodies.messages import Message
from appliance.gateway.bodies.sampling import TokenId
from appliance.gateway.bodies.strict import Many, OnlyTrue, Strict
from appliance.gateway.bodies.tools import MAX_TOOLS, ToolParam


class TokenizeBody(Strict):
    """Body of `/v1/tokenize`: a prompt, or the messages of a chat."""

    model: str = Field(description="required; a name from `/v1/models`")
    prompt: str | None = Field(None, description="a text; this or `messages`")
    messages: Many[Message] | None = Field(
        None, min_length=1, description="as in `/v1/chat/completions`; this or `prompt`"
    )
    tools: list[ToolParam] | None = Field(None, max_length=MAX_TOOLS, description="as there; only with `messages`")
    add_special_tokens: bool | None = Field(
        None, description="the model's own prefix; default true; for `messages` only false: the template has them"
    )
    add_generation_prompt: OnlyTrue | None = Field(
        None, description="only true; then an assistant's text at the end is not continued"
    )
    return_token_strs: bool | None = Field(None, description="`token_strs` beside `tokens`")


class DetokenizeBody(Strict):
    """Body of `/v1/detokenize`."""

    model: str = Field(description="required; a name from `/v1/models`")
    tokens: Many[TokenId] = Field(description="required; token ids")
