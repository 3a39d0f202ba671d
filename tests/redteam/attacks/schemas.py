"""Ways round a schema: escaped and repeated names, and whatever a hot model writes."""

from __future__ import annotations

import json
from typing import Any

import hypothesis
import jsonschema

from tests.engine.schemas import HAND_WRITTEN
from tests.json_schema import test_property_names as names
from tests.redteam.attack import Attack, Broke, expect
from tests.redteam.box import AttackedBox

_MAX_TOKENS = 200


def spelt_otherwise(box: AttackedBox) -> str:
    """Drawn schemas and texts through the matcher: what passes is valid, whichever of two values counts."""
    prove = hypothesis.seed(box.seed)(names.test_no_spelling_and_no_repetition_of_a_name_gets_round_its_schema)
    try:
        for spaced in (True, False):
            prove(spaced=spaced)
            for name in names.NAMES:
                names.test_each_name_has_one_spelling_beside_listed_ones(name, spaced)
    except AssertionError as error:
        raise Broke(f"a spelling passed: {error}") from error
    return "800 drawn schemas, each name in each spelling"


def answers(box: AttackedBox) -> str:
    """Answers of a hot model to hand-written schemas: those that end are valid."""
    finished = refused = 0
    for name, schema in HAND_WRITTEN.items():
        wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}
        answer = box.attacker.post(
            "/v1/chat/completions",
            messages=[{"role": "user", "content": "x"}],
            response_format=wanted,
            max_tokens=_MAX_TOKENS,
            temperature=1.8,
            seed=box.seed,
        )
        if answer.status == 400:
            refused += 1
            continue
        expect(answer.status == 200, f"{name}: {answer}")
        choice = answer.json["choices"][0]
        if choice["finish_reason"] == "stop":
            _check(name, schema, choice["message"]["content"])
            finished += 1
    return f"{finished} answers to {len(HAND_WRITTEN)} schemas ended and are valid, {refused} schemas refused"


def _check(name: str, schema: Any, text: str) -> None:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        expect(len(dict(pairs)) == len(pairs), f"{name}: a name stands twice in {text[:200]}")
        return dict(pairs)

    try:
        jsonschema.validate(json.loads(text, object_pairs_hook=once), schema)
    except (ValueError, jsonschema.ValidationError) as error:
        raise Broke(f"{name}: {text[:200]!r} is not valid: {str(error)[:200]}") from error


ATTACKS = (
    Attack("names in other spellings", "F1", spelt_otherwise),
    Attack("answers beside their schemas", "F1 F11", answers),
)
