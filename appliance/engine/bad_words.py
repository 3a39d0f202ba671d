"""The tokens of bad words, by vLLM's rule. This module chooses no token.

Source: vllm-project/vllm, `SamplingParams.update_from_tokenizer`.
"""

from __future__ import annotations

from collections.abc import Iterable

from appliance.engine.tokenizer import Tokenizer


def bad_word_tokens(tokenizer: Tokenizer, words: Iterable[str]) -> list[list[int]]:
    """The tokens of each word, and those of the word after a space if only the first token differs."""
    found: list[list[int]] = []
    for word in words:
        bare = tokenizer.encode(word.lstrip(), add_special_tokens=False)
        spaced = tokenizer.encode(f" {word.lstrip()}", add_special_tokens=False)
        found.append(bare)
        if len(spaced) == len(bare) and spaced[0] != bare[0]:
            found.append(spaced)
    return found
