"""The prompts of a completion request: texts or token ids, one or several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from appliance.errors import RequestError
from appliance.gateway.chat.infilling import encode_infilling
from appliance.gateway.chat.served_model import ServedModel
from appliance.gateway.openai.schema import MAX_ANSWERS, CompletionBody
from appliance.token_bytes import TokenBytes


@dataclass(frozen=True)
class Prompt:
    """One prompt.

    Attributes:
        ids: its tokens.
        text: the text as the client sent it; None for a client that sent tokens.
    """

    ids: Sequence[int]
    text: str | None = None

    def shown(self, tokens: TokenBytes) -> str:
        """The prompt as a text; special tokens are written by their names."""
        if self.text is not None:
            return self.text
        return b"".join(map(tokens.name, self.ids)).decode("utf-8", "replace")


async def prompts_of(body: CompletionBody, model: ServedModel) -> list[Prompt]:
    """Encode the prompts of a request.

    Raises:
        RequestError: there is no prompt, a prompt is empty or has an unknown token id, or there are too many answers.
        PromptTooLongError: see `ServedModel.check_length`.
    """
    given = _listed(body.prompt)
    answers = len(given) * (body.n or 1)
    if answers > MAX_ANSWERS:
        raise RequestError(
            f"prompt: {len(given)} prompts need {answers} answers in one request; the limit is {MAX_ANSWERS}",
            hint="send several requests",
            param="prompt",
        )
    if body.truncate_prompt_tokens == 0:
        raise RequestError("truncate_prompt_tokens 0 leaves no prompt", param="truncate_prompt_tokens")
    if body.suffix and (body.echo or body.truncate_prompt_tokens is not None):
        name = "echo" if body.echo else "truncate_prompt_tokens"
        raise RequestError(f"{name} cannot be combined with suffix", param=name)
    return [await _prompt(body, model, one) for one in given]


async def _prompt(body: CompletionBody, model: ServedModel, given: str | Sequence[int]) -> Prompt:
    text = given if isinstance(given, str) else None
    if body.suffix:
        return Prompt(await encode_infilling(model, given, body.suffix), text)
    wanted = body.truncate_prompt_tokens
    if wanted is None:
        return Prompt(await model.encode_text(given) if isinstance(given, str) else model.check_ids(given), text)
    ids = await model.tokenize_text(given) if isinstance(given, str) else given
    if wanted == -1:
        # As vLLM's "all that fits", with the space for the answer.
        wanted = max(1, model.manifest.shape.context_tokens - max(1, body.max_tokens or 1))
    kept = model.check_ids(ids[-wanted:])
    return Prompt(kept, text if len(kept) == len(ids) else None)


def _listed(prompt: str | list[str] | list[int] | list[list[int]]) -> list[str | Sequence[int]]:
    """The prompts one by one."""
    if isinstance(prompt, str):
        return [prompt]
    if not prompt:
        raise RequestError("prompt is empty", param="prompt")
    if isinstance(prompt[0], int):
        return [prompt]
    return list(prompt)
