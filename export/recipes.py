"""The recipes of the stages: all that decides each stage's result. Results are kept by the recipes' digests.

`content` is the digests of the checkpoint's files that the stages read, see `content_of`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from appliance.artefact.manifest import ORT_CPU, TENSORRT
from appliance.engine import parity
from export.presets import REFERENCE, Preset
from export.quality.text_set import text_set_digest
from export.stages import Recipe, StageResult
from export.versions import LOWERING, MEASURING, TOKENISING, versions

# Fields that do not change the weights: name, summary, tolerance, how the preset is measured, and what follows it.
_NO_WEIGHTS = frozenset({"name", "summary", "max_mean_kl", "emulated", "finer"})
_READING_CODE = ("checkpoint", "architecture")
_GRAPH_CODE = (*_READING_CODE, "lowering", "quantise")
_WORDS_CODE = (*_READING_CODE, "words", "tokenizer", "splitting", "generation", "conversation")


def content_of(inputs: Mapping[str, str]) -> Mapping[str, str]:
    """Digests of what the stages read, by names that a user cannot choose: they are a part of the stages' keys.

    The checkpoint reads only the GGUF file if there is one, whatever its name is. Equal files with other names
    then have the same stages.

    Args:
        inputs: digests of the model's files by name.
    """
    gguf = next((digest for name, digest in inputs.items() if is_gguf(name)), None)
    return inputs if gguf is None else {"gguf": gguf}


def is_gguf(name: str) -> bool:
    """Whether a file with this name is read as a GGUF file."""
    return name.lower().endswith(".gguf")


def graph(content: Mapping[str, str], target: str, preset: Preset, tokens: int) -> Recipe:
    """The graph and its weights. The preset's name, summary and tolerance do not change them."""
    options = {"target": target, "preset": weights_of(preset), "tokens": tokens}
    return Recipe("graph", _GRAPH_CODE, content, options, versions(LOWERING))


def words(content: Mapping[str, str]) -> Recipe:
    """Tokenizer, chat template and generation settings."""
    return Recipe("words", _WORDS_CODE, content, versions=versions((*LOWERING, *TOKENISING)))


def reference(content: Mapping[str, str], tokenizer: StageResult) -> Recipe:
    """The unquantised checkpoint's output on the text set."""
    return Recipe(
        "reference",
        (*_GRAPH_CODE, "quality"),
        {**_digests("words", tokenizer), "texts": text_set_digest(), **content},
        {"preset": weights_of(REFERENCE)},
        versions(MEASURING),
    )


def magnitudes(content: Mapping[str, str], tokenizer: StageResult) -> Recipe:
    """The magnitudes of the unquantised checkpoint's values on the text set."""
    return replace(reference(content, tokenizer), name="magnitudes")


def quality(content: Mapping[str, str], preset: Preset, results: Mapping[str, StageResult]) -> Recipe:
    """The quality report, from the results of earlier stages by their names. It names the checkpoint's files.

    If this machine's processor cannot run a preset's graph, its twin is measured, which is built from the checkpoint.
    Then the code that builds the twin is a part of the recipe.
    """
    read = {name: digest for stage, result in results.items() for name, digest in _digests(stage, result).items()}
    read.update({"texts": text_set_digest(), **content})
    code: tuple[str, ...] = ("quality",)
    options: dict[str, Any] = {"preset": preset.name, "max_mean_kl": preset.max_mean_kl}
    if preset.runtime != ORT_CPU:
        code = (*_GRAPH_CODE, *code)
        options["twin"] = weights_of(preset.twin)
    if preset.runtime == TENSORRT:
        options["parity_format"] = parity.FORMAT
    return Recipe("quality", code, read, options, versions(MEASURING))


def weights_of(preset: Preset) -> dict[str, Any]:
    """The fields of a preset that change the weights, as JSON values."""
    weights = {key: value for key, value in asdict(preset).items() if key not in _NO_WEIGHTS}
    values: dict[str, Any] = json.loads(json.dumps(weights))
    return values


def _digests(stage: str, result: StageResult) -> dict[str, str]:
    return {f"{stage}/{entry.name}": entry.sha256 for entry in result.files}
