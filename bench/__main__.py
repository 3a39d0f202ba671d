"""`python -m bench` measures engines, `presets` candidates for presets, `grammars` what a grammar costs.

`gpu` measures the engine on an NVIDIA GPU, `soak` lets a crowd in; `report FILE` writes tables again.
"""

from __future__ import annotations

import os
import sys
from datetime import datetime, timezone
from pathlib import Path

import click

from appliance.cli.progress import shown_progress
from appliance.errors import ApplianceError
from appliance.layout import Layout
from bench.engines import ENGINES
from bench.environments import ROOT
from bench.gpu.run import GPU_PRESETS, full_run, quick_run
from bench.gpu.shapes import SHAPES
from bench.grammar_run import Selection as GrammarSelection
from bench.grammar_run import run_grammars
from bench.preset_run import Selection, run_presets
from bench.report import PageError, put_into, report
from bench.results import Results
from bench.run import MODELS, Options, run_bench
from bench.soak.page import page
from bench.soak.question import copying
from bench.soak.run import SoakOptions, run_soak
from export.pipeline import export_model
from export.presets import DEFAULT

RESULTS = ROOT / "bench" / "results"


@click.group(invoke_without_command=True)
@click.option("--quick", is_flag=True, help="A smoke run: one round, hardly any tokens; its figures say nothing.")
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="Of the first model.")
@click.option("--model", "models", multiple=True, help=f"Installed models. Default: {', '.join(MODELS)}.")
@click.option(
    "--engine", "engines", multiple=True, type=click.Choice([engine.key for engine in ENGINES]), help="Default: all."
)
@click.option("--root", type=click.Path(file_okay=False, path_type=Path), help="The box's folder, as for `appliance`.")
@click.pass_context
def command(
    context: click.Context,
    quick: bool,
    rounds: int,
    models: tuple[str, ...],
    engines: tuple[str, ...],
    root: Path | None,
) -> None:
    """Measure the appliance and its peers on the same weights, one after another in turn.

    Progress goes to standard error; the tables, and last the path of the same figures as JSON, to standard output.
    """
    if context.invoked_subcommand:
        return
    options = Options(
        models=models or MODELS,
        engines=engines or tuple(engine.key for engine in ENGINES),
        rounds=rounds,
        quick=quick,
    )
    with shown_progress() as progress:
        results = run_bench(options, Layout.from_environment(os.environ, root), progress, _say)
    _show(results)


@command.command("presets")
@click.option("--quick", is_flag=True, help="A smoke run: hardly any tokens, no peers; its figures say nothing.")
@click.option("--rounds", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--model", default=MODELS[0], show_default=True, help="An installed model.")
@click.option("--root", type=click.Path(file_okay=False, path_type=Path), help="The box's folder, as for `appliance`.")
def presets_command(quick: bool, rounds: int, model: str, root: Path | None) -> None:
    """Measure what the presets were chosen from: size, quality and speed of every candidate.

    Takes about 20 GB of disk while it runs.
    """
    selection = Selection(model=model, rounds=rounds, quick=quick)
    with shown_progress() as progress:
        results = run_presets(selection, Layout.from_environment(os.environ, root), progress, _say)
    _show(results)


@command.command("grammars")
@click.option("--quick", is_flag=True, help="A smoke run: hardly any tokens; its figures say nothing.")
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--model", default=MODELS[0], show_default=True, help="An installed model.")
@click.option("--root", type=click.Path(file_okay=False, path_type=Path), help="The box's folder, as for `appliance`.")
def grammars_command(quick: bool, rounds: int, model: str, root: Path | None) -> None:
    """Measure what it costs that completions must match a JSON schema: the bare engine, without and with one."""
    selection = GrammarSelection(model=model, rounds=rounds, quick=quick)
    with shown_progress() as progress:
        results = run_grammars(selection, Layout.from_environment(os.environ, root), progress, _say)
    _show(results)


@command.command("gpu")
@click.option("--quick", is_flag=True, help="A smoke run: a tiny shape, on the CPU; its figures say nothing.")
@click.option("--shape", "shapes", multiple=True, type=click.Choice(list(SHAPES)), help="Default: all.")
@click.option("--preset", "presets", multiple=True, type=click.Choice(list(GPU_PRESETS)), help="Default: all.")
@click.option("--peer-python", help="A Python with torch and transformers, the peer; without, it is absent.")
def gpu_command(quick: bool, shapes: tuple[str, ...], presets: tuple[str, ...], peer_python: str | None) -> None:
    """Measure decoding and prefill on an NVIDIA GPU, random weights in published shapes, against the machine's roof.

    The tables go to standard output, for docs/targets.md.
    """
    click.echo(
        quick_run(_say) if quick else full_run(shapes or tuple(SHAPES), presets or GPU_PRESETS, peer_python, _say)
    )


def _show(results: Results) -> None:
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}.json"
    path.write_bytes(results.to_bytes())
    click.echo(report(results))
    click.echo(str(path))


@command.command("soak")
@click.option("--clients", type=click.IntRange(min=1, max=9000), default=100, show_default=True)
@click.option("--slots", type=click.IntRange(min=1), default=8, show_default=True, help="Of the engine.")
@click.option("--queue", type=click.IntRange(min=0), default=64, show_default=True, help="Requests that may wait.")
@click.option("--seconds", type=click.FloatRange(min=1), default=60, show_default=True)
@click.option("--model", default=MODELS[0], show_default=True, help="An installed model that can copy a code.")
@click.option("--root", type=click.Path(file_okay=False, path_type=Path), help="The box's folder, as for `appliance`.")
@click.pass_context
def soak_command(
    context: click.Context, clients: int, slots: int, queue: int, seconds: float, model: str, root: Path | None
) -> None:
    """Let a crowd in: every answer must hold its own question's marker, every refusal have a status.

    Beside it are clients without manners: half requests, bodies that are too large, answers that nobody reads. Exits
    with 1 when an answer was lost or crossed, or memory grew.
    """
    layout = Layout.from_environment(os.environ, root)
    with shown_progress() as progress:
        artefact = export_model(layout, model, "cpu", DEFAULT, progress).folder
    options = SoakOptions(clients=clients, slots=slots, queue=queue, seconds=seconds)
    soaked = run_soak(artefact, options, copying, _say)
    click.echo(page(soaked))
    context.exit(1 if soaked.faults() else 0)


@command.command("report")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--into", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Put them into this page.")
def report_command(file: Path, into: Path | None) -> None:
    """Write the tables of a run as Markdown."""
    text = report(Results.from_bytes(file.read_bytes()))
    if into is None:
        click.echo(text, nl=False)
    else:
        put_into(into, text)


def _say(line: str) -> None:
    click.echo(line, err=True)


if __name__ == "__main__":
    try:
        command(prog_name="python -m bench")
    except (ApplianceError, PageError, ValueError) as failure:
        _say(f"error: {failure}")
        sys.exit(failure.exit_code if isinstance(failure, ApplianceError) else 1)
