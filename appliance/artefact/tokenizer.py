"""Loads a tokenizer.json in the same way for the export, the engine and the gateway."""

from __future__ import annotations

import tokenizers

from appliance.artefact.manifest import TOKENIZER
from appliance.errors import IntegrityError


def load_tokenizer(content: bytes, *, hint: str = "export the model again") -> tokenizers.Tokenizer:
    """Load a tokenizer, without truncation and padding, which some publishers leave switched on.

    Args:
        content: content of tokenizer.json.
        hint: what a person can do if the content is damaged.

    Raises:
        IntegrityError: the tokenizer cannot be loaded, or has no tokens.
    """
    try:
        tokenizer = tokenizers.Tokenizer.from_buffer(content)
        tokens = tokenizer.get_vocab_size()
    except BaseException as error:  # the library raises bare Exception, and its panics do not derive from Exception
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise IntegrityError(f"{TOKENIZER} cannot be read: {error}", hint=hint) from error
    if not tokens:
        raise IntegrityError(f"{TOKENIZER} has no tokens", hint=hint)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
