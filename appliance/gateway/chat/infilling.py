"""Fill-in-the-middle: builds a prompt from the text before and after a gap, for models with the tokens for this."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.errors import RequestError
from appliance.gateway.chat.served_model import ServedModel

# As Qwen's coders were trained: https://github.com/QwenLM/Qwen2.5-Coder, "fill in the middle".
_MARKS = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")


def can_infill(model: ServedModel) -> bool:
    """Whether the model has the tokens."""
    return None not in _marks(model)


async def encode_infilling(model: ServedModel, prefix: str | Sequence[int], suffix: str) -> Sequence[int]:
    """Return the prompt's token ids. `prefix` is text or tokens; each part may be empty. Control texts stay text.

    Raises:
        RequestError: the model has no fill-in-the-middle tokens, or the prefix has an unknown token id.
        PromptTooLongError: see `ServedModel.check_length`.
    """
    before, after, middle = _marks(model)
    if before is None or after is None or middle is None:
        raise RequestError(f"suffix is not supported: {model.name} has no fill-in-the-middle tokens", param="suffix")
    head: list[int] = await model.encode_content(prefix, "prompt") if isinstance(prefix, str) else list(prefix)
    ids = [before, *head, after, *await model.encode_content(suffix, "suffix"), middle]
    return model.check_ids(ids)


def _marks(model: ServedModel) -> list[int | None]:
    """The tokens before the prefix, before the suffix and before the answer; None for one that the model lacks."""
    return [model.tokenizer.token_to_id(mark) for mark in _MARKS]
