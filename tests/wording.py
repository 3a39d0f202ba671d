"""Every line that a failure of ours can print, out of the source: `make wording` writes tests/golden/errors.txt.

Tests assert types and fields of errors, and at most what tells two of them apart. A change of wording shows here, all
of it in one diff.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from appliance import errors
from appliance.errors import ApplianceError

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden" / "errors.txt"
KINDS = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, ApplianceError)}


def listing() -> str:
    """By module: the kind of each error, its message and its hint, with the source of what is filled in."""
    blocks = []
    for folder in ("appliance", "export"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            lines = list(_lines(ast.parse(path.read_text(encoding="utf-8"))))
            if lines:
                blocks.append("\n".join([str(path.relative_to(ROOT)), *lines]))
    return "\n\n".join(blocks) + "\n"


def made(tree: ast.Module) -> list[ast.Call]:
    """Where errors are made, in order."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _name(node.func) in KINDS and node.args]
    return sorted(calls, key=lambda node: (node.lineno, node.col_offset))


def _lines(tree: ast.Module) -> Iterator[str]:
    for call in made(tree):
        yield f"  {_name(call.func)}: {_text(call.args[0])}"
        for keyword in call.keywords:
            if keyword.arg in {"hint", "param"}:
                yield f"    {keyword.arg}: {_text(keyword.value)}"


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _text(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str(text)):
            found = text.replace("\n", "\\n")
        case ast.JoinedStr(values=parts):
            found = "".join(map(_text, parts))
        case ast.FormattedValue(value=ast.IfExp() | ast.BoolOp() as choice):
            found = _text(choice)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            found = _text(left) + _text(right)
        case ast.IfExp(body=one, orelse=other):
            found = f"[{_text(one)} | {_text(other)}]"
        case ast.BoolOp(values=choices):
            found = f"[{' | '.join(map(_text, choices))}]"
        case ast.FormattedValue(value=value):
            found = f"{{{_filled(value)}}}"
        case _:
            found = f"{{{_filled(node)}}}"
    return found


def _filled(node: ast.expr) -> str:
    """A name, or that there is more to it: versions of Python write expressions differently."""
    if isinstance(node, ast.Name):
        return node.id
    return f"{_filled(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else "…"


if __name__ == "__main__":
    GOLDEN.write_text(listing(), encoding="utf-8")
