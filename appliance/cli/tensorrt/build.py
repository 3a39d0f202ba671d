"""`appliance tensorrt build`."""

from __future__ import annotations

import dataclasses

import click

from appliance import targets
from appliance.capacity import cache_slots
from appliance.cli.box import Box
from appliance.cli.output import json_option, print_json, tell
from appliance.cli.progress import Advance, progress
from appliance.cli.tensorrt.shown import document
from appliance.engine.plan_smoke import smoke
from appliance.gpu import find_gpu
from appliance.lock import in_use
from appliance.sizes import size
from appliance.supervisor.choose import choose
from appliance.supervisor.hardware import check_hardware
from appliance.targets import Target
from appliance.tensorrt.build import BuildInputs, check_buildable, ensure_plan
from appliance.tensorrt.driver import installed_driver
from appliance.tensorrt.find import Flavour, TensorRt, find_tensorrt
from appliance.tensorrt.plan_store import PlanStore
from appliance.tensorrt.usual_profile import usual_profile


@click.command("build")
@click.argument("model")
@click.option("--target", help="Target of the export. Default: serve.target in appliance.toml.")
@click.option(
    "--preset", help="Preset of the export. Default: the only exported one, else the target's default preset."
)
@click.option("--slots", type=click.IntRange(1), help="Answers that the box can generate at the same time.")
@click.option("--context", type=click.IntRange(16), help="Maximum tokens of prompt plus completion.")
@click.option("--chunk", type=click.IntRange(16), help="Prompt tokens that the GPU reads in one step.")
@json_option
@click.pass_obj
def command(
    box: Box,
    model: str,
    target: str | None,
    preset: str | None,
    slots: int | None,
    context: int | None,
    chunk: int | None,
    as_json: bool,
) -> None:
    """Build a model's TensorRT plan for the GPU of this box.

    MODEL is the name of a model that was exported with a TensorRT preset. If a plan exists that fits the GPU, driver
    and options, the command builds nothing. Without --slots, --context or --chunk, it uses the values of the existing
    plan; if there is none, those of the target. `appliance up` builds a missing plan too: use this command to build
    in advance, or with other values.
    """
    artefact = choose(box.layout, model, target or box.config.serve.target, preset)
    hardware = targets.get(artefact.manifest.target)
    store = PlanStore(box.layout.engines)
    profile = usual_profile(store, artefact.manifest, hardware.profile)
    asked = {"slots": slots, "context_tokens": context, "chunk_tokens": chunk}
    profile = dataclasses.replace(profile, **{name: value for name, value in asked.items() if value is not None})
    check_hardware(artefact.manifest)
    gpu = find_gpu()
    served_slots = cache_slots(min(box.config.serve.slots or profile.slots, profile.slots))
    check_buildable(artefact.manifest, profile, gpu, served_slots)
    driver = installed_driver(gpu)
    inputs = BuildInputs(artefact.folder, artefact.manifest, _tensorrt(hardware), gpu, driver, profile, served_slots)
    with in_use(artefact.folder), progress("building", 100, "%") as advance:
        ensured = ensure_plan(store, inputs, smoke, _Watcher(advance))
    if as_json:
        print_json({**document(store, ensured.folder, ensured.record), "built": ensured.was_built})
        return
    record = ensured.record
    click.echo(
        f"{'Built' if ensured.was_built else 'Already built'}: {ensured.folder}\n"
        f"  serves          {record.key.profile}\n"
        f"  size            {size(record.size_bytes)}\n"
        f"  peak memory     {size(record.peak_bytes)}\n"
        f"  took            {record.seconds:.1f} s"
    )


class _Watcher:
    """Prints messages and progress of a build on standard error."""

    def __init__(self, advance: Advance) -> None:
        self.advance = advance

    def note(self, text: str) -> None:
        tell(text)


def _tensorrt(hardware: Target) -> TensorRt:
    return find_tensorrt({Flavour.TENSORRT: hardware.tensorrt, Flavour.RTX: hardware.tensorrt_rtx})
