"""The tokens of bad words, by vLLM's rule. This module chooses no token.

Source: vllm-project/vllm, `SamplingParams.update_from_tokenizer`.
"""

from __future__ import annotations

from collections.abc import Iterable

from appliance.engine.tokenizer import Tokenizer
from appliance.errors import RequestError


def bad_word_tokens(tokenizer: Tokenizer, words: Iterable[str]) -> list[list[int]]:
    """The tokens of each word, and those of the word after a space if only the first token differs.

    Raises:
        RequestError: a word is not valid Unicode.
    """
    found: list[list[int]] = []
    for word in words:
        try:
            bare = tokenizer.encode(word.lstrip(), add_special_tokens=False)
            spaced = tokenizer.encode(f" {word.lstrip()}", add_special_tokens=False)
        except RequestError as error:
            raise RequestError("a bad word is not valid Unicode", param="bad_words") from error
        found.append(bare)
        if len(spaced) == len(bare) and spaced[0] != bare[0]:
            found.append(spaced)
    return found
