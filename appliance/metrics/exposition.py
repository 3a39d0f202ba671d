"""Parses the part of Prometheus' text format that Triton writes. This module fetches nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_SAMPLE = re.compile(r"^([A-Za-z_:][A-Za-z0-9_:]*)(?:\{(.*)\})? +(\S+)")
_LABEL = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Sample:
    """One line: a name, labels and a value."""

    name: str
    labels: Mapping[str, str]
    value: float


def parse(text: str) -> tuple[Sample, ...]:
    """Return the samples of an exposition. Skip comments and lines that are not samples.

    Source: Prometheus documentation, "Exposition formats", text-based format 0.0.4.
    """
    return tuple(_samples(text))


def _samples(text: str) -> Iterator[Sample]:
    for line in text.splitlines():
        found = None if line.startswith("#") else _SAMPLE.match(line)
        if found:
            try:
                value = float(found[3])
            except ValueError:
                continue
            labels = {name: re.sub(r"\\(.)", _unescaped, raw) for name, raw in _LABEL.findall(found[2] or "")}
            yield Sample(found[1], labels, value)


def _unescaped(found: re.Match[str]) -> str:
    return "\n" if found[1] == "n" else found[1]
