"""The results of a run, which are written to and read from one JSON file, without summaries."""

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
        key, title, note: from the engine.
        rounds: the figures of each round.
        quality: `mean_kl`, `top1_agreement` and other figures that are equal in all rounds; empty if not measured.
        versions: versions of the engine's libraries.
        others_cores: cores that other processes kept busy during each round.
        why_not: why figures, or some rounds, are missing; empty if all were measured.
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
        """The figure's value in each round that has it."""
        return [value for figures in self.rounds if (value := figures.get(figure)) is not None]


@dataclass(frozen=True)
class Table:
    """All engines on one model with one assignment of work.

    Attributes:
        kind: "main" for all figures, "long" for prefill by prompt length, "use" for tasks and arriving requests,
            "growth" for the cost as work grows, "presets" for the candidates of presets, each as a separate engine,
            "grammars" for our engine without and with a grammar.
        model: the model's name.
        checkpoint: digest of the file that is the source of all engines' weights.
        work: the assignment's work, as JSON values.
        engines: in the order of the columns.
    """

    kind: str
    model: str
    checkpoint: str
    work: Mapping[str, Any]
    engines: tuple[Measured, ...]

    def engine(self, key: str) -> Measured | None:
        """The engine's figures, if it was measured."""
        return next((engine for engine in self.engines if engine.key == key), None)


@dataclass(frozen=True)
class Results:
    """All results of one run.

    Attributes:
        started_at: UTC, ISO 8601.
        machine: name and value of each of the machine's properties.
        tables: in the order of measurement.
        quick: smoke test, whose figures are not valid.
        minutes: duration of the run; None if it was not recorded.
    """

    started_at: str
    machine: Mapping[str, str]
    tables: tuple[Table, ...]
    quick: bool
    minutes: float | None = None

    def to_bytes(self) -> bytes:
        """Serialise as JSON."""
        return (json.dumps({"schema": SCHEMA, **dataclasses.asdict(self)}, indent=2) + "\n").encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Results:
        """Parse the output of `to_bytes`.

        Raises:
            ValueError: the content is something else.
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
