"""Whether a lowered schema's grammar accepts a text, judged by the engine's own matcher."""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Mapping
from typing import Any

from appliance.engine.grammar import Matcher
from appliance.inference.structured_output import ConstraintKind, StructuredOutput
from appliance.json_schema import ARGUMENTS, FREELY_SPACED, Lowered, compiler_schema, lower
from tests.engine.toy import END, GRAMMARS, TOKENIZER, TOKENS

_ENDS = {END, *(TOKENIZER.encode(text)[0] for text in '"]}')}


def lowered(schema: Any, *, is_strict: bool = True) -> Lowered:
    """Lower as the gateway does."""
    return lower(schema, is_strict=is_strict, param="p", whose="the schema")


def drawn(schema: Mapping[str, Any], seed: int, *, most: int = 400) -> str | None:
    """A random answer that the grammar of a lowered schema allows; None if it does not end soon."""
    generator = random.Random(seed)
    matcher = _matcher(schema, spaced=True)
    tokens: list[int] = []
    for _ in range(most):
        forbidden = matcher.forbidden()
        # All allowed tokens, and those that can end a value more often: otherwise few answers would end.
        allowed = [token for token in range(TOKENS) if not forbidden[token]]
        allowed += 3 * [token for token in allowed if token in _ENDS]
        if matcher.is_complete or not allowed:
            break
        token = generator.choice(allowed)
        if token == END:
            break
        matcher.accept(token)
        tokens.append(token)
    else:
        return None
    return TOKENIZER.decode(tokens)


def _matcher(schema: Mapping[str, Any], *, spaced: bool) -> Matcher:
    options = FREELY_SPACED if spaced else ARGUMENTS
    compiled = _compiled(json.dumps(compiler_schema(schema, options)))
    return Matcher(compiled._state.deep_copy(), TOKENS)


# Many texts are tried on a schema, one after another, and to compile it takes longer than to try one.
@functools.lru_cache(maxsize=4)
def _compiled(text: str) -> Matcher:
    return GRAMMARS.matcher(StructuredOutput(ConstraintKind.JSON, text))


def accepts(schema: Mapping[str, Any], text: str, *, spaced: bool = True) -> bool:
    """Whether the grammar of a lowered schema lets this text be the whole answer."""
    matcher = _matcher(schema, spaced=spaced)
    for token in TOKENIZER.encode(text, add_special_tokens=False):
        if matcher.forbidden()[token]:
            return False
        matcher.accept(token)
    return matcher.is_complete or not matcher.forbidden()[END]
