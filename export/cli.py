"""`appliance export`: exports an installed model to an artefact, and prints the result of the pipeline."""

from __future__ import annotations

import time
from typing import Any, Protocol

import click

from appliance.artefact.manifest import EMBEDDING, RERANKING, Manifest
from appliance.cli.output import json_option, print_json
from appliance.cli.progress import shown_progress
from appliance.layout import Layout
from appliance.sizes import size
from appliance.targets import targets
from export.exported import Exported
from export.pipeline import export_model
from export.presets import PRESETS

_NAME_WIDTH = max(map(len, PRESETS))
_PRESET_LINES = "\n".join(f"  {preset.name:<{_NAME_WIDTH}} {preset.summary}" for preset in PRESETS.values())


class Box(Protocol):
    """The object that the command line's root passes to its commands."""

    layout: Layout


@click.command(
    name="export",
    short_help="Convert an installed model to an artefact that the box can serve.",
    help=(
        "Convert the installed MODEL to an artefact that the box can serve. The artefact contains the graph, "
        "tokenizer, chat template, manifest and a quality report that compares it with the checkpoint. The "
        "command reuses completed stages of an earlier run. An embedding model or a reranker is exported with "
        "32-bit floats: omit --preset.\n\n"
        f"\b\nPresets (docs/presets.md compares them):\n{_PRESET_LINES}"
    ),
)
@click.argument("model")
@click.option("--target", default="cpu", show_default=True, help=f"Hardware to export for: {', '.join(targets())}.")
@click.option("--preset", help="Format of the weights, one of the list above. Default: the target's default preset.")
@json_option
@click.pass_obj
def command(box: Box, model: str, target: str, preset: str | None, as_json: bool) -> None:
    """See `help` above, which lists the presets."""
    begun = time.monotonic()
    with shown_progress() as progress:
        exported = export_model(box.layout, model, target, preset, progress)
    seconds = time.monotonic() - begun
    if as_json:
        print_json(_document(exported, seconds))
        return
    click.echo(
        f"{'Exported' if exported.was_installed else 'Already exported'}: {exported.folder}\n"
        f"  size            {size(_size(exported))}\n"
        f"{_figures(exported.manifest)}"
        f"  peak memory     {size(exported.build_peak_bytes)} building, "
        f"{size(exported.peak_bytes)} with the mapped files of measuring\n"
        f"  took            {seconds:.1f} s, kept from before: {', '.join(exported.kept_stages) or 'nothing'}"
    )


def _figures(manifest: Manifest) -> str:
    """The figures of the quality report, line by line."""
    quality = manifest.quality
    if manifest.task_name == EMBEDDING:
        texts = f"over {quality['texts']} texts with {quality['tokens']} tokens"
        return (
            f"  lowest cosine   {quality['lowest_cosine']:.7f} (at least {quality['min_cosine']:g}, {texts})\n"
            f"  difference      at most {quality['largest_difference']:.1e} of a vector's length\n"
            f"  compared with   {quality['reference']}\n"
        )
    if manifest.task_name == RERANKING:
        pairs = f"over {quality['pairs']} pairs with {quality['tokens']} tokens"
        return (
            f"  difference      {quality['largest_difference']:.1e} of a logit (at most {quality['max_difference']:g}, "
            f"{pairs})\n"
            f"  compared with   {quality['reference']}\n"
        )
    measured = f"  measured        {quality['measured']}\n" if "measured" in quality else ""
    tolerance = f"at most {quality['max_mean_kl']:g}, over {quality['tokens']} tokens"
    return (
        f"  mean KL         {quality['mean_kl']:.5f} ({tolerance})\n"
        f"  top-1 agreement {quality['top1_agreement']:.1%}\n"
        f"  perplexity      {quality['perplexity']:.3f} (reference {quality['reference_perplexity']:.3f})\n"
        f"  greedy tokens   {quality['greedy_agreement']:.1%} before the first difference\n"
        f"  compared with   {quality['reference']}\n"
        f"{measured}"
    )


def _document(exported: Exported, seconds: float) -> dict[str, Any]:
    manifest = exported.manifest
    return {
        "artefact": str(exported.folder),
        "build_peak_bytes": exported.build_peak_bytes,
        "installed": exported.was_installed,
        "kept_stages": list(exported.kept_stages),
        "memory_limit_bytes": exported.needs.memory_bytes,
        "model": manifest.model,
        "peak_bytes": exported.peak_bytes,
        "preset": manifest.preset,
        "quality": dict(manifest.quality),
        "seconds": round(seconds, 3),
        "size_bytes": _size(exported),
        "target": manifest.target,
    }


def _size(exported: Exported) -> int:
    return sum(entry.size_bytes for entry in exported.manifest.files)
