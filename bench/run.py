"""One whole run: its models and tables in order. It prints the progress and returns the results."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from appliance.errors import ApplianceError
from appliance.layout import Layout
from bench.assignment import FULL, GROWTH, LONG, QUICK, QUICK_GROWTH, QUICK_USE, USE, Assignment, Task, Work
from bench.engines import ENGINE, ENGINES, LONG_ENGINES, MAIN_ENGINES, USE_ENGINES, Engine
from bench.launch import run_worker
from bench.machine import compute_threads, describe_machine
from bench.model import Model, prepare_model
from bench.peer_models import PeerModels
from bench.results import Results, Table
from bench.rounds import AbsentError, AssignmentFor, Run, Say, measure_in_turn
from bench.targets import TARGETS_OF
from bench.workers.measure import Figures
from export.progress import Progress

MODELS = tuple(TARGETS_OF)
# Requests arrive at a rate that the slowest peer can serve: rarer for a larger model.
_ARRIVAL_GAP_S_PER_GB = 4.0


@dataclass(frozen=True)
class Part:
    """One table of each model.

    Attributes:
        kind: see Table.
        engines: in the order of the columns.
        work: what is measured.
        quick: the same for a smoke test; None leaves the table out.
        is_compared: engines are compared, so that there are several rounds and all models.
    """

    kind: str
    engines: tuple[Engine, ...]
    work: Work
    quick: Work | None
    is_compared: bool = True


PARTS = (
    Part("main", MAIN_ENGINES, FULL, QUICK),
    Part("long", LONG_ENGINES, LONG, None),
    Part("use", USE_ENGINES, USE, QUICK_USE),
    Part("growth", (ENGINE,), GROWTH, QUICK_GROWTH, is_compared=False),
)


@dataclass(frozen=True)
class Options:
    """The settings of the run.

    Attributes:
        models: model names; the first gets all rounds and tables, the others fewer.
        engines: keys of the engines to measure.
        tables: kinds of the tables to measure.
        rounds: number of rounds of the first model.
        quick: smoke test: one model, one round, few tokens.
    """

    models: tuple[str, ...] = MODELS
    engines: tuple[str, ...] = tuple(engine.key for engine in ENGINES)
    tables: tuple[str, ...] = tuple(part.kind for part in PARTS)
    rounds: int = 3
    quick: bool = False

    def rounds_of(self, part: Part, model: int) -> int:
        """The number of rounds of a table, for the model with this index."""
        if self.quick or not part.is_compared:
            return 1
        return self.rounds if model == 0 else (self.rounds + 1) // 2


def run_bench(options: Options, layout: Layout, progress: Progress, say: Say, run: Run = run_worker) -> Results:
    """Measure all models and engines.

    Raises:
        ApplianceError: the first model is not installed, or cannot be exported.
    """
    started = datetime.now(timezone.utc)
    tables: list[Table] = []
    for index, name in enumerate(options.models[:1] if options.quick else options.models):
        try:
            model = prepare_model(layout, name, _presets(options), progress)
        except ApplianceError as error:
            if index == 0:
                raise
            say(f"{name} is left out: {error}")
            continue
        forms = PeerModels(model, layout.cache, say)
        qualities = _reported(model)
        for part in PARTS:
            work = part.quick if options.quick else part.work
            if part.kind not in options.tables or work is None or (index > 0 and not part.is_compared):
                continue
            table = _table(part, work, model, forms, options, options.rounds_of(part, index), run, say)
            qualities |= {engine.key: engine.quality for engine in table.engines if engine.quality}
            tables.append(with_quality(table, qualities))
    machine = describe_machine()
    minutes = (datetime.now(timezone.utc) - started).total_seconds() / 60
    return Results(f"{started:%Y-%m-%d %H:%M} UTC", machine, tuple(tables), options.quick, minutes)


def _reported(model: Model) -> dict[str, Figures]:
    """The quality of our engines by key, from their artefacts' own reports."""
    figures = {preset: exported.manifest.quality for preset, exported in model.artefacts.items()}
    return {
        engine.key: {key: figures[engine.preset][key] for key in ("mean_kl", "top1_agreement")}
        for engine in ENGINES
        if engine.preset in figures
    }


def with_quality(table: Table, qualities: Mapping[str, Figures]) -> Table:
    """The table with the quality of each engine, which is measured once for each model."""
    of = {engine.key: engine.quality_of or engine.key for engine in ENGINES}
    engines = tuple(
        dataclasses.replace(engine, quality=qualities.get(of[engine.key], engine.quality)) for engine in table.engines
    )
    return dataclasses.replace(table, engines=engines)


def _table(
    part: Part,
    work: Work,
    model: Model,
    forms: PeerModels,
    options: Options,
    rounds: int,
    run: Run,
    say: Say,
) -> Table:
    engines = _chosen(part.engines, options)
    fitting = _fitting(work, model)
    say(f"{model.name}, {part.kind}: {rounds} rounds of {len(engines)} engines")
    measured = measure_in_turn(
        engines,
        assigner(model, forms, fitting),
        rounds,
        with_quality=part.kind == "main" and not options.quick,
        run=run,
        say=say,
    )
    return Table(part.kind, model.name, model.sha256, dataclasses.asdict(fitting), measured)


def _fitting(work: Work, model: Model) -> Work:
    """The work without prompts that are longer than the model's context, and with arrivals as rare as it needs."""
    context_tokens = min(work.context_tokens, model.context_tokens)
    gap_s = work.arrival_gap_s or _ARRIVAL_GAP_S_PER_GB * model.gguf.stat().st_size / 1e9
    return dataclasses.replace(
        work,
        context_tokens=context_tokens,
        prefill_tokens=tuple(
            length for length in work.prefill_tokens if length + 1 + work.continued_tokens <= context_tokens
        ),
        arrival_gap_s=gap_s if work.arrivals else 0.0,
    )


def assigner(model: Model, forms: PeerModels, work: Work) -> AssignmentFor:
    """Return a function that returns each engine's assignment for a round."""
    # Whole tasks fit the context of a real model.
    tokens = max(1, work.context_tokens - work.task_tokens)
    tasks = {kind: tuple(ids[-tokens:] for ids in several) for kind, several in model.tasks.prompts.items()}

    def assignment_for(engine: Engine) -> Assignment:
        reason = engine.environment.missing(engine.packages)
        if reason:
            raise AbsentError(reason)
        packed = model.packed.get(engine.preset)
        return Assignment(
            task=Task.SPEED,
            model=str(model.artefacts[engine.preset].folder if engine.preset else forms.weights(engine.weight_format)),
            packed=str(packed) if packed else None,
            properties=engine.properties,
            threads=compute_threads(),
            seed=0,
            corpus=model.corpus,
            work=work,
            tasks=tasks,
            end_tokens=model.tasks.end_tokens,
            texts=model.texts,
            reference=str(model.reference),
        )

    return assignment_for


def _chosen(engines: Sequence[Engine], options: Options) -> tuple[Engine, ...]:
    return tuple(engine for engine in engines if engine.key in options.engines)


def _presets(options: Options) -> list[str]:
    """The presets that the selected engines of ours serve."""
    return [engine.preset for engine in _chosen(ENGINES, options) if engine.preset]
