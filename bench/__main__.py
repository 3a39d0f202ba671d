"""`python -m bench` measures engines, `presets` the candidates for presets, `grammars` the cost of a grammar.

`gpu` measures the engine on an NVIDIA GPU, `soak` sends requests of many clients, `tools` measures tool calls; `report
FILES` prints tables again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

import click

from appliance.cli.progress import shown_progress
from appliance.errors import ApplianceError
from appliance.gateway.chat.dialect import PARSERS
from appliance.layout import Layout
from bench.engines import ENGINES
from bench.environments import ROOT
from bench.gpu.run import GPU_PRESETS, full_run, quick_run
from bench.gpu.shapes import SHAPES
from bench.grammar_run import Selection as GrammarSelection
from bench.grammar_run import run_grammars
from bench.machine import compute_threads, describe_machine
from bench.model import pack
from bench.preset_run import Selection, run_presets
from bench.report import PageError, put_into, report
from bench.results import Results
from bench.run import MODELS, PARTS, Options, run_bench
from bench.served_set.page import page as set_page
from bench.served_set.run import Options as SetOptions
from bench.served_set.run import Policy
from bench.served_set.run import measure as measure_set
from bench.soak.page import page
from bench.soak.question import copying
from bench.soak.run import SoakOptions, run_soak
from bench.tool_calls.answers import FOLDER, Answers, ask
from bench.tool_calls.page import BEGIN as TOOLS_BEGIN
from bench.tool_calls.page import tool_table
from export.pipeline import export_model
from export.presets import DEFAULT

RESULTS = ROOT / "bench" / "results"


@click.group(invoke_without_command=True)
@click.option(
    "--quick", is_flag=True, help="Smoke test with one round and few tokens; the results are not valid measurements."
)
@click.option(
    "--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="Number of rounds for the first model."
)
@click.option(
    "--model", "models", multiple=True, help=f"Installed model to measure; repeatable. Default: {', '.join(MODELS)}."
)
@click.option(
    "--engine",
    "engines",
    multiple=True,
    type=click.Choice([engine.key for engine in ENGINES]),
    help="Engine to measure; repeatable. Default: all.",
)
@click.option(
    "--table",
    "tables",
    multiple=True,
    type=click.Choice([part.kind for part in PARTS]),
    help="Table to measure; repeatable. Default: all. The KL divergence of other engines is measured with main.",
)
@click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the state of the box, as for `appliance`.",
)
@click.pass_context
def command(
    context: click.Context,
    quick: bool,
    rounds: int,
    models: tuple[str, ...],
    engines: tuple[str, ...],
    tables: tuple[str, ...],
    root: Path | None,
) -> None:
    """Measure the appliance and other engines on the same weights, one engine after another.

    The command prints progress to standard error. It prints the tables, and then the path of a JSON file with the same
    results, to standard output.
    """
    if context.invoked_subcommand:
        return
    options = Options(
        models=models or MODELS,
        engines=engines or tuple(engine.key for engine in ENGINES),
        tables=tables or tuple(part.kind for part in PARTS),
        rounds=rounds,
        quick=quick,
    )
    with shown_progress() as progress:
        results = run_bench(options, Layout.from_environment(os.environ, root), progress, _say)
    _show(results)


@command.command("presets")
@click.option(
    "--quick",
    is_flag=True,
    help="Smoke test with few tokens and no other engines; the results are not valid measurements.",
)
@click.option("--rounds", type=click.IntRange(min=1), default=2, show_default=True, help="Number of rounds.")
@click.option("--model", default=MODELS[0], show_default=True, help="Installed model to measure.")
@click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the state of the box, as for `appliance`.",
)
def presets_command(quick: bool, rounds: int, model: str, root: Path | None) -> None:
    """Measure size, quality and throughput of all candidates for presets.

    The command needs about 20 GB of disk space while it runs.
    """
    selection = Selection(model=model, rounds=rounds, quick=quick)
    with shown_progress() as progress:
        results = run_presets(selection, Layout.from_environment(os.environ, root), progress, _say)
    _show(results)


@command.command("grammars")
@click.option("--quick", is_flag=True, help="Smoke test with few tokens; the results are not valid measurements.")
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="Number of rounds.")
@click.option("--model", default=MODELS[0], show_default=True, help="Installed model to measure.")
@click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the state of the box, as for `appliance`.",
)
def grammars_command(quick: bool, rounds: int, model: str, root: Path | None) -> None:
    """Measure the cost of structured output: the engine alone, with and without a JSON schema."""
    selection = GrammarSelection(model=model, rounds=rounds, quick=quick)
    with shown_progress() as progress:
        results = run_grammars(selection, Layout.from_environment(os.environ, root), progress, _say)
    _show(results)


@command.command("gpu")
@click.option(
    "--quick",
    is_flag=True,
    help="Smoke test with a tiny model shape on the CPU; the results are not valid measurements.",
)
@click.option(
    "--shape", "shapes", multiple=True, type=click.Choice(list(SHAPES)), help="Model shape; repeatable. Default: all."
)
@click.option(
    "--preset",
    "presets",
    multiple=True,
    type=click.Choice(list(GPU_PRESETS)),
    help="Preset; repeatable. Default: all.",
)
@click.option(
    "--peer-python",
    help="Python interpreter with torch and transformers, to measure them too. Default: they are not measured.",
)
def gpu_command(quick: bool, shapes: tuple[str, ...], presets: tuple[str, ...], peer_python: str | None) -> None:
    """Measure decode and prefill on an NVIDIA GPU and compare them with the limits of the hardware.

    The models have random weights in the shapes of published models. The command prints the tables for docs/targets.md
    to standard output.
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
@click.option(
    "--clients", type=click.IntRange(min=1, max=9000), default=100, show_default=True, help="Number of clients."
)
@click.option("--slots", type=click.IntRange(min=1), default=8, show_default=True, help="Slots of the engine.")
@click.option(
    "--queue", type=click.IntRange(min=0), default=64, show_default=True, help="Requests that may wait for a slot."
)
@click.option("--seconds", type=click.FloatRange(min=1), default=60, show_default=True, help="Duration of the test.")
@click.option(
    "--model", default=MODELS[0], show_default=True, help="Installed model that can repeat a code from its prompt."
)
@click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the state of the box, as for `appliance`.",
)
@click.pass_context
def soak_command(
    context: click.Context, clients: int, slots: int, queue: int, seconds: float, model: str, root: Path | None
) -> None:
    """Send requests of many clients and check that each answer belongs to its question.

    Each question contains a marker that its answer must repeat. Each rejected request must have a status. Some clients
    misbehave: they send incomplete requests or too large bodies, or do not read their answers. The exit code is 1 if an
    answer was lost or went to the wrong client, or if memory use grew.
    """
    layout = Layout.from_environment(os.environ, root)
    with shown_progress() as progress:
        artefact = export_model(layout, model, "cpu", DEFAULT, progress).folder
    options = SoakOptions(clients=clients, slots=slots, queue=queue, seconds=seconds)
    soaked = run_soak(artefact, options, copying, _say)
    click.echo(page(soaked))
    context.exit(1 if soaked.faults() else 0)


@command.command("set")
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="Number of rounds.")
@click.option("--model", default=MODELS[0], show_default=True, help="Installed chat model.")
@click.option("--embedder", default="all-minilm-l6-v2", show_default=True, help="Installed embedding model.")
@click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the state of the box, as for `appliance`.",
)
def set_command(rounds: int, model: str, embedder: str, root: Path | None) -> None:
    """Measure what an embedding model costs the chat model beside it, with several shares of the cores."""
    layout = Layout.from_environment(os.environ, root)
    with shown_progress() as progress:
        chat = export_model(layout, model, "cpu", DEFAULT, progress)
        vectors = export_model(layout, embedder, "cpu", None, progress)
        pack(layout, chat)
    cores = compute_threads()
    policies = [Policy("all cores for both"), Policy("embedder: 1", embedder=1), Policy("each: 1", chat=1, embedder=1)]
    options = SetOptions(model, embedder, policies if cores > 1 else policies[:1], rounds)
    artefacts = {model: chat.folder, embedder: vectors.folder}
    weights = sum(path.stat().st_size for path in vectors.folder.glob("*.onnx*"))
    measured = measure_set(artefacts, weights, layout.engines, options, _say)
    click.echo(set_page(describe_machine(), measured))


@command.command("tools")
@click.option("--url", help="Ask the box at this URL, and keep the answers. Default: use the answers of earlier runs.")
@click.option(
    "--dialect",
    type=click.Choice(sorted(PARSERS)),
    default="hermes",
    show_default=True,
    help="Format of the model's tool calls, as in its catalogue entry.",
)
@click.option(
    "--into",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Page to write the table into, between its markers. Default: standard output.",
)
def tools_command(url: str | None, dialect: str, into: Path | None) -> None:
    """Measure which tool calls with `tool_choice: auto` the box recognises.

    The table compares the answers of every model in bench/tool_calls/answers. Serve another model with `appliance up`
    and give its URL to add it.
    """
    if url is not None:
        ask(url, dialect, _say).save()
    text = tool_table([Answers.from_file(path) for path in sorted(FOLDER.glob("*.json"))])
    if into is None:
        click.echo(text)
    else:
        put_into(into, text + "\n", TOOLS_BEGIN)


@command.command("report")
@click.argument("files", type=click.Path(exists=True, dir_okay=False, path_type=Path), nargs=-1, required=True)
@click.option(
    "--into",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Page to write the tables into, between its markers. Default: standard output.",
)
def report_command(files: Sequence[Path], into: Path | None) -> None:
    """Print the tables of earlier runs, from their JSON files, as Markdown."""
    text = "\n".join(report(Results.from_bytes(file.read_bytes())) for file in files)
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
