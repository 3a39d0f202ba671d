"""Reads the dashboard file: its expressions, and the metrics and labels in them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import promql_parser

DASHBOARD = Path(__file__).parents[2] / "docs" / "grafana" / "appliance.json"
_VARIABLES = {"$__rate_interval": "5m", "$model": ".*"}


@dataclass(frozen=True)
class Selector:
    """A metric in an expression, with every label that is matched or grouped by."""

    name: str
    labels: frozenset[str]


def expressions() -> Iterator[str]:
    """Every expression, Grafana's variables filled in."""
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        for target in panel.get("targets", ()):
            expression = target["expr"]
            for name, value in _VARIABLES.items():
                expression = expression.replace(name, value)
            yield expression


def selectors(expression: str) -> list[Selector]:
    """The metrics of an expression."""
    return list(_selectors(promql_parser.parse(expression), frozenset()))


def _selectors(node: promql_parser.Expr, grouped: frozenset[str]) -> Iterator[Selector]:
    if isinstance(node, promql_parser.VectorSelector):
        yield Selector(node.name, grouped | {matcher.name for matcher in node.matchers.matchers})
    elif isinstance(node, promql_parser.MatrixSelector):
        yield from _selectors(node.vector_selector, grouped)
    elif isinstance(node, promql_parser.AggregateExpr):
        labels = node.modifier.labels if node.modifier else ()
        yield from _selectors(node.expr, grouped | frozenset(labels))
    elif isinstance(node, promql_parser.Call):
        for argument in node.args:
            yield from _selectors(argument, grouped)
    elif isinstance(node, promql_parser.BinaryExpr):
        yield from _selectors(node.lhs, grouped)
        yield from _selectors(node.rhs, grouped)
