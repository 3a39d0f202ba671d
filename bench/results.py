"""What a whole run found, as values that are written to and read from one JSON file. It summarises nothing."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.workers.measure import Figures

SCHEMA = 1


@dataclass(frozen=True)
class Measured:
    """One engine's figures.

    Attributes:
        key, title, note: the engine's.
        rounds: the figures of each round.
        quality: `mean_kl`, `top1_agreement` and more that does not change from round to round; empty if not measured.
        versions: of the libraries that did the work.
        others_cores: cores that everything else kept busy during each round.
        why_not: why there are no figures, or not all rounds; empty if all went well.
    """

    key: str
    title: str
    note: str
    rounds: tuple[Figures, ...] = ()
    quality: Figures = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    others_cores: tuple[float, ...] = ()
    why_not: str = ""

    def values(self, figure: str) -> list[float]:
        """The figure in each round that has it."""
        return [value for figures in self.rounds if (value := figures.get(figure)) is not None]


@dataclass(frozen=True)
class Table:
    """All engines on one model with one assignment of work.

    Attributes:
        kind: "main" for everything, "long" for prefill over the prompt's length, "presets" for the candidates of
            presets, each as an engine of its own, "grammars" for our engine without and with one.
        model: its name.
        checkpoint: digest of the file that all engines' weights come from.
        work: the assignment's, as JSON values.
        engines: in the order of the columns.
    """

    kind: str
    model: str
    checkpoint: str
    work: Mapping[str, Any]
    engines: tuple[Measured, ...]

    def engine(self, key: str) -> Measured | None:
        """The engine's figures, if it took part."""
        return next((engine for engine in self.engines if engine.key == key), None)


@dataclass(frozen=True)
class Results:
    """Everything of one run.

    Attributes:
        started_at: UTC, ISO 8601.
        machine: what it ran on, line by line: name and value.
        tables: in the order measured.
        quick: a smoke run, whose figures say nothing.
    """

    started_at: str
    machine: Mapping[str, str]
    tables: tuple[Table, ...]
    quick: bool

    def to_bytes(self) -> bytes:
        """Serialise as JSON."""
        return (json.dumps({"schema": SCHEMA, **dataclasses.asdict(self)}, indent=2) + "\n").encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Results:
        """Parse what `to_bytes` wrote.

        Raises:
            ValueError: it is something else.
        """
        try:
            value = json.loads(content)
            schema = value.pop("schema")
            tables = tuple(_table(table) for table in value.pop("tables"))
            results = cls(**value, tables=tables)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not the results of a bench: {error}") from error
        if schema != SCHEMA:
            raise ValueError(f"results of schema {schema}; this program reads {SCHEMA}")
        return results


def _table(value: dict[str, Any]) -> Table:
    engines = tuple(
        Measured(**{**engine, "rounds": tuple(engine["rounds"]), "others_cores": tuple(engine["others_cores"])})
        for engine in value.pop("engines")
    )
    return Table(**value, engines=engines)
