"""The request bodies of the tokeniser's endpoints, in vLLM's format."""

from __future__ import annotations

from pydantic import Field

from appliance.gateway.bodies.messages import Message
from appliance.gateway.bodies.other_servers import REFUSED
from appliance.gateway.bodies.parameter_policy import ParameterPolicy
from appliance.gateway.bodies.sampling import TokenId
from appliance.gateway.bodies.strict import Many, OnlyTrue, Strict
from appliance.gateway.bodies.tools import MAX_TOOLS, ToolParam

TOKENIZE_POLICY = ParameterPolicy(refused={name: REFUSED[name] for name in ("chat_template", "mm_processor_kwargs")})


_MODEL = "a name from `/v1/models`; may be absent if the box serves only one model"


class TokenizeBody(Strict):
    """Body of `/v1/tokenize`: a prompt, or the messages of a chat."""

    model: str | None = Field(None, description=_MODEL)
    prompt: str | None = Field(None, description="a text; use either `prompt` or `messages`")
    messages: Many[Message] | None = Field(
        None, min_length=1, description="as in `/v1/chat/completions`; use either `messages` or `prompt`"
    )
    tools: list[ToolParam] | None = Field(
        None, max_length=MAX_TOOLS, description="as in `/v1/chat/completions`; only with `messages`"
    )
    add_special_tokens: bool | None = Field(
        None,
        description="add the model's own prefix; default true; with `messages` only false (the template adds it)",
    )
    add_generation_prompt: OnlyTrue | None = Field(
        None, description="only true: the prompt does not continue an assistant's text at the end"
    )
    return_token_strs: bool | None = Field(None, description="return `token_strs` too")


class DetokenizeBody(Strict):
    """Body of `/v1/detokenize`."""

    model: str | None = Field(None, description=_MODEL)
    tokens: Many[TokenId] = Field(description="required; token ids")
