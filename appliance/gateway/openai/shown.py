"""What an answer of OpenAI's chat or completions shows besides its text. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.gateway.openai.schema import ChatBody, CompletionBody


@dataclass(frozen=True)
class Shown:
    """See the module.

    Attributes:
        usage: a stream ends with an event that contains the usage.
        continuous_usage: each event of a stream contains the usage so far.
        alternatives: number of likeliest tokens besides each chosen token; None: no log-probabilities.
        prompt_alternatives: the same for the tokens of the prompt, as vLLM's `prompt_logprobs`.
        token_ids: the ids of the tokens of prompt and answer.
        names_are_ids: log-probabilities name each token by its id.
        echo: the answer's text begins with the prompt.
    """

    usage: bool = False
    continuous_usage: bool = False
    alternatives: int | None = None
    prompt_alternatives: int | None = None
    token_ids: bool = False
    names_are_ids: bool = False
    echo: bool = False

    @classmethod
    def of(cls, body: ChatBody | CompletionBody, alternatives: int | None) -> Shown:
        """What a request asks for; `alternatives` are the engine's `logprobs`."""
        options = body.stream_options
        return cls(
            usage=bool(options and options.include_usage),
            continuous_usage=bool(options and options.continuous_usage_stats),
            alternatives=alternatives,
            prompt_alternatives=body.prompt_logprobs,
            token_ids=bool(body.return_token_ids),
            names_are_ids=bool(body.return_tokens_as_token_ids),
            echo=isinstance(body, CompletionBody) and bool(body.echo),
        )
