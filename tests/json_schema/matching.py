"""Whether a lowered schema's grammar accepts a text, judged by the engine's own matcher."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from appliance.inference.structured_output import ConstraintKind, StructuredOutput
from appliance.json_schema import ARGUMENTS, FREELY_SPACED, Lowered, compiler_schema, lower
from tests.engine.toy import END, GRAMMARS, TOKENIZER


def lowered(schema: Any, *, is_strict: bool = True) -> Lowered:
    """Lower as the gateway does."""
    return lower(schema, is_strict=is_strict, param="p", whose="the schema")


def accepts(schema: Mapping[str, Any], text: str, *, spaced: bool = True) -> bool:
    """Whether the grammar of a lowered schema lets this text be the whole answer."""
    options = FREELY_SPACED if spaced else ARGUMENTS
    matcher = GRAMMARS.matcher(StructuredOutput(ConstraintKind.JSON, json.dumps(compiler_schema(schema, options))))
    for token in TOKENIZER.encode(text, add_special_tokens=False):
        if matcher.forbidden()[token]:
            return False
        matcher.accept(token)
    return matcher.is_complete or not matcher.forbidden()[END]
