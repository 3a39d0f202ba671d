"""The page of schemas: what the schemas of pydantic and zod contain, and what the box guarantees for them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from appliance.json_schema import Lowered, lower
from tests.json_schema.libraries import OTHERS, pydantic_schemas, zod_schemas

# The finished answer is checked for these; patterns and formats are not checked.
_UNCHECKED = ("pattern", "format")
_WIDTH = 90
_TEXT = """# Schemas

`make docs` generates this page from the code: it lowers the schema of each type below as the gateway does.

The grammar enforces most keywords of JSON Schema during generation. A keyword that it cannot enforce is an error if the
schema is strict. Otherwise the grammar enforces the rest, the header `appliance-schema-unheld` lists the keyword before
the answer, and the gateway checks the complete answer. [api.md](api.md) describes the headers and the retries. The last
column means:

| guarantee | without `strict` | with `strict` |
|---|---|---|
| enforced | every answer follows the schema | the same |
| checked | the complete answer is checked, and asked for again if it breaks the schema | the schema is rejected |
| not checked | the header names the keyword; the client must check the value | the schema is rejected |

- OpenAI's `client.chat.completions.parse` sends each schema with `strict: true`. Anthropic's `output_config.format` is
  always strict. Use types that are enforced there, such as `list` instead of `set`.
- An object that lists its properties has no others in answers, unless `additionalProperties` allows them.
- Each answer is one that the schema allows, but some values are never generated: networks with unusual prefixes, `cuid`
  with unusual lengths, absolute URIs as `uri-reference`, leap seconds, encoded labels of host names.
- A list of different items (`uniqueItems`) is enforced if its items have at most five values, all texts or booleans.
- The formats `binary`, `password`, `path`, `file-path` and `directory-path` restrict no text. A format that JSON Schema
  does not define, beside a pattern, is the name of the pattern's rule: zod writes it so.
- pydantic before 2.13 and zod write some patterns with look-ahead, which no grammar can enforce. The box recognises
  them and enforces an equal or a narrower pattern.
- The box enforces the schema, not the validator. A validator of your own, or a rule that the library does not write
  into the schema, can still reject an answer. Of the types below, these are `NaiveDatetime`, `Json`, `Decimal`,
  `ByteSize`, the keys of `dict[int, str]`, the range of `timedelta`, `z.httpUrl()`, `z.file()` and `z.stringbool()`.
  A number such as `1e999` is JSON, but too large for JavaScript.
"""


def page() -> str:
    """The page."""
    parts = [_TEXT]
    for title, schemas in (
        ("Types of pydantic", pydantic_schemas()),
        ("Types of zod", zod_schemas()),
    ):
        rows = [
            f"| `{_cell(name)}` | `{_cell(_shown(schema))}` | {_guarantee(schema)} |"
            for name, schema in schemas.items()
        ]
        parts.append("\n".join([f"## {title}", "", "| type | schema | guarantee |", "|---|---|---|", *rows, ""]))
    rows = [f"| {name} | {_guarantee(schema)} |" for name, schema in OTHERS.items()]
    parts.append("\n".join(["## Other keywords", "", "| keyword | guarantee |", "|---|---|", *rows, ""]))
    return "\n".join(parts)


def lowered(schema: Any) -> Lowered:
    """The schema as the gateway lowers it for a format that is not strict."""
    return lower(schema, is_strict=False, param="response_format", whose="the schema")


def _guarantee(schema: Mapping[str, Any]) -> str:
    unheld = lowered(schema).unheld
    if not unheld:
        return "enforced"
    keyword = unheld[0].rpartition("/")[2]
    return f"`{keyword}` {'is not checked' if keyword in _UNCHECKED else 'is checked'}; the rest is enforced"


def _shown(schema: Any) -> str:
    text = json.dumps({key: value for key, value in schema.items() if key != "title"}, ensure_ascii=False)
    return _cell(text if len(text) <= _WIDTH else text[: _WIDTH - 2] + " …")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
