"""Writes the golden cases from a checkout of JSON-Schema-Test-Suite: `python -m tests.json_schema.suite CHECKOUT`.

Only invalid instances are kept: what passes the grammar of a schema must not be one of them. The suite is
Copyright (c) 2012 Julian Berman, under the MIT licence, which the golden file repeats.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parents[1] / "golden" / "json-schema-test-suite.json.gz"
DRAFTS = {
    "draft2020-12": "https://json-schema.org/draft/2020-12/schema",
    "draft7": "http://json-schema.org/draft-07/schema#",
}
# They test what a media type says of a text. It is an annotation to us, as it is in draft 2020-12.
_LEFT_OUT = {"content.json"}


def cases() -> list[tuple[str, Any, list[Any]]]:
    """The golden cases: name, schema, invalid instances."""
    return [tuple(case) for case in json.loads(gzip.decompress(GOLDEN.read_bytes()))["cases"]]


def _read(checkout: Path) -> dict[str, Any]:
    found = []
    for draft, address in DRAFTS.items():
        folder = checkout / "tests" / draft
        for path in sorted(folder.rglob("*.json")):
            if path.name not in _LEFT_OUT:
                found += [_case(path.relative_to(folder), address, case) for case in json.loads(path.read_text())]
    return {"licence": (checkout / "LICENSE").read_text(), "cases": [case for case in found if case[2]]}


def _case(path: Path, address: str, case: dict[str, Any]) -> tuple[str, Any, list[Any]]:
    schema = case["schema"]
    if isinstance(schema, dict) and "$schema" not in schema:
        schema = {"$schema": address, **schema}
    invalid = [test["data"] for test in case["tests"] if not test["valid"]]
    return f"{address.split('/')[-2]} {path} {case['description']}", schema, invalid


if __name__ == "__main__":
    content = json.dumps(_read(Path(sys.argv[1])), separators=(",", ":"), sort_keys=False)
    GOLDEN.write_bytes(gzip.compress(content.encode(), mtime=0))
