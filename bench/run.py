"""One whole run: its models and tables in order. It prints the progress and returns the results."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from appliance.errors import ApplianceError
from appliance.layout import Layout
from bench.assignment import FULL, LONG, QUICK, Assignment, Task, Work
from bench.engines import ENGINES, LONG_ENGINES, Engine
from bench.launch import run_worker
from bench.machine import compute_threads, describe_machine
from bench.model import Model, prepare_model
from bench.peer_models import PeerModels
from bench.results import Measured, Results, Table
from bench.rounds import AbsentError, AssignmentFor, Run, Say, measure_in_turn
from export.progress import Progress

MODELS = ("qwen2.5-coder-0.5b-instruct", "qwen2.5-coder-1.5b-instruct")


@dataclass(frozen=True)
class Options:
    """The settings of the run.

    Attributes:
        models: model names; the first gets all rounds and the table of prompt lengths, the others fewer rounds.
        engines: keys of the engines to measure.
        rounds: number of rounds of the first model.
        quick: smoke test: one model, one round, few tokens.
    """

    models: tuple[str, ...] = MODELS
    engines: tuple[str, ...] = tuple(engine.key for engine in ENGINES)
    rounds: int = 3
    quick: bool = False


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
        fewer = max(1, options.rounds // 2)
        if options.quick:
            tables.append(_main(model, forms, options, QUICK, 1, run, say))
            continue
        tables.append(_main(model, forms, options, FULL, options.rounds if index == 0 else fewer, run, say))
        if index == 0:
            tables.append(_table("long", model, forms, _chosen(LONG_ENGINES, options), LONG, fewer, run, say))
    machine = describe_machine()
    return Results(f"{started:%Y-%m-%d %H:%M} UTC", machine, tuple(tables), options.quick)


def _main(model: Model, forms: PeerModels, options: Options, work: Work, rounds: int, run: Run, say: Say) -> Table:
    table = _table("main", model, forms, _chosen(ENGINES, options), work, rounds, run, say)
    presets = {engine.key: engine.preset for engine in ENGINES if engine.preset}
    engines = tuple(
        _with_report(engine, model, presets[engine.key]) if engine.key in presets else engine
        for engine in table.engines
    )
    return dataclasses.replace(table, engines=engines)


def _with_report(engine: Measured, model: Model, preset: str) -> Measured:
    """The engine's figures with the quality from the artefact's own report."""
    figures = model.artefacts[preset].manifest.quality
    return dataclasses.replace(engine, quality={key: figures[key] for key in ("mean_kl", "top1_agreement")})


def _table(
    kind: str,
    model: Model,
    forms: PeerModels,
    engines: Sequence[Engine],
    work: Work,
    rounds: int,
    run: Run,
    say: Say,
) -> Table:
    say(f"{model.name}, {kind}: {rounds} rounds of {len(engines)} engines")
    measured = measure_in_turn(
        engines,
        assigner(model, forms, work),
        rounds,
        with_quality=kind == "main" and work is not QUICK,
        run=run,
        say=say,
    )
    return Table(kind, model.name, model.sha256, dataclasses.asdict(work), measured)


def assigner(model: Model, forms: PeerModels, work: Work) -> AssignmentFor:
    """Return a function that returns each engine's assignment for a round."""

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
            texts=model.texts,
            reference=str(model.reference),
        )

    return assignment_for


def _chosen(engines: Sequence[Engine], options: Options) -> tuple[Engine, ...]:
    return tuple(engine for engine in engines if engine.key in options.engines)


def _presets(options: Options) -> list[str]:
    """The presets that the selected engines of ours serve."""
    return [engine.preset for engine in _chosen(ENGINES, options) if engine.preset]
