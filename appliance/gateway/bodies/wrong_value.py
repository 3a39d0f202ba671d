"""Explains in one line what is wrong with the value of a parameter, from the errors of pydantic."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import pydantic
from pydantic_core import ErrorDetails

from appliance.errors import RequestError
from appliance.gateway.bodies.messages import ROLES

_UNKNOWN = "extra_forbidden"
_MISSING = frozenset({"missing", "union_tag_not_found"})
_ONLY_NULL = "none_required"
_TAGGED = frozenset({"union_tag_invalid", "union_tag_not_found"})
_LITERAL = "literal_error"
# The errors of our own unions of objects.
_OF_OBJECTS = frozenset({"unknown_type", "unknown_role"})
_FORMS = frozenset({"str", "int", "float", "bool", "[key]", "NamedTool"})
# The tags of our own unions are in angle brackets.
_FORM_BEGINNINGS = ("list[", "dict[", "literal[", "constrained-", "function-", "tagged-union[", "<")
# pydantic's name of an error → what it expected, in JSON's terms.
_EXPECTED = {
    "string_type": "a string",
    "list_type": "a list",
    "int_type": "an integer",
    "float_type": "a number",
    "bool_type": "a boolean",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}
_GIVEN = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
}
_LIST = re.compile(r"list\[(.*)\]")
_ITEMS = {"str": "strings", "constrained-str": "strings", "int": "integers", "constrained-int": "integers"}
_WORDS = "Input should be "


def explained(error: pydantic.ValidationError) -> RequestError:
    """One error, for the value that is deepest in the body: if a value may have several types, it is most precise.

    The message does not repeat the value: the gateway does not log messages, but clients may do so.
    """
    errors = error.errors(include_url=False)
    # Of two alternatives of a union, the one whose type fits is meant: [4, -1] is tokens, and no list of texts.
    deepest = max(errors, key=lambda one: (len(one["loc"]), not _is_of_type(one)))
    place = _path(deepest["loc"])
    # A union has an error for each of its types.
    alternatives = [one for one in errors if _path(one["loc"]) == place]
    others = [one for one in alternatives if not _is_of_type(one)]
    if not others:
        return RequestError(f"{place}: {_wrong_type(alternatives)}", param=place)
    # The value has one of the types, and is wrong for another reason.
    found = deepest if deepest in others else others[0]
    param = f"{place}.{found['ctx']['discriminator'].strip(chr(39))}" if found["type"] in _TAGGED else place
    return RequestError(_message(param, found), param=param)


def _message(param: str, error: ErrorDetails) -> str:
    kind, message = error["type"], error["msg"]
    if kind == _UNKNOWN:
        return f"unknown parameter: {param}"
    if kind == _ONLY_NULL:
        return f"{param} is not supported"
    if kind in _MISSING:
        return f"{param} is missing"
    if kind in _TAGGED:
        return f"{param}: must be one of {error['ctx']['expected_tags']}"
    return f"{param}: {f'must be {message.removeprefix(_WORDS)}' if message.startswith(_WORDS) else message}"


def _is_of_type(error: ErrorDetails) -> bool:
    """Whether the value has another type than this alternative of a union."""
    kind = error["type"]
    if kind in _OF_OBJECTS:
        return not isinstance(error["input"], dict)
    return kind in _EXPECTED or kind == _LITERAL


def _wrong_type(alternatives: Sequence[ErrorDetails]) -> str:
    expected = list(dict.fromkeys(map(_expected, alternatives)))
    if "a number" in expected and "an integer" in expected:
        expected.remove("an integer")
    if any(one["type"] == _LITERAL for one in alternatives):
        # Literals are strings: "must be 'auto', not a string" would confuse.
        return f"must be {', or '.join(expected)}"
    *most, last = expected
    value = alternatives[0]["input"]
    is_fraction = isinstance(value, float) and "an integer" in expected
    given = "a number with a fraction" if is_fraction else _GIVEN.get(type(value), "an object")
    return f"must be {', '.join(most)}{' or ' if most else ''}{last}, not {given}"


def _expected(error: ErrorDetails) -> str:
    if error["type"] == _LITERAL:
        return str(error["ctx"]["expected"])
    form = error["loc"][-1] if error["loc"] else ""
    if error["type"] == "list_type" and isinstance(form, str) and _LIST.fullmatch(form):
        return f"a {' of '.join(['list', *_items(form)])}"
    return _EXPECTED.get(error["type"], "an object")


def _items(form: str) -> Iterator[str]:
    """What a list contains: "list[list[constrained-int]]" → "lists", "integers"."""
    while match := _LIST.fullmatch(form):
        form = match[1]
        yield "lists" if _LIST.fullmatch(form) else _ITEMS.get(form, "objects")


def _path(location: tuple[int | str, ...]) -> str:
    """('messages', 0, 'content', 'list[TextPart]', 1, 'type') → 'messages[0].content[1].type'."""
    path = ""
    before: int | str = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif not _is_form(part, before):
            path += f".{part}" if path else part
        before = part
    return path


def _is_form(part: str, before: int | str) -> bool:
    """Whether a part of a path only names the type that a value was checked as, which the client cannot see."""
    if part in _FORMS or part.startswith(_FORM_BEGINNINGS):
        return True
    return (part in ROLES and isinstance(before, int)) or before == "response_format"
