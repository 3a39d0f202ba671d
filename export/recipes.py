"""What each stage of an export makes, and from what: the recipes under which their results are kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from export.presets import REFERENCE, Preset
from export.quality.text_set import text_set_digest
from export.stages import Recipe, StageResult
from export.versions import LOWERING, MEASURING, TOKENISING, versions

_READING_CODE = ("checkpoint", "architecture")
_GRAPH_CODE = (*_READING_CODE, "lowering", "quantise")
_WORDS_CODE = (*_READING_CODE, "tokenizer", "generation")


def graph(inputs: Mapping[str, str], target: str, preset: Preset, tokens: int) -> Recipe:
    """The graph and its weights. The tolerance and the words about a preset do not change them."""
    options = {"target": target, "preset": weights_of(preset), "tokens": tokens}
    return Recipe("graph", _GRAPH_CODE, inputs, options, versions(LOWERING))


def words(inputs: Mapping[str, str]) -> Recipe:
    """Tokenizer, chat template and generation settings."""
    return Recipe("words", _WORDS_CODE, inputs, versions=versions((*LOWERING, *TOKENISING)))


def reference(inputs: Mapping[str, str], tokenizer: StageResult) -> Recipe:
    """What the unquantised checkpoint says about the text set."""
    return Recipe(
        "reference",
        (*_GRAPH_CODE, "quality"),
        {**_digests("words", tokenizer), "texts": text_set_digest(), **inputs},
        {"preset": weights_of(REFERENCE)},
        versions(MEASURING),
    )


def quality(preset: Preset, built: StageResult, tokenizer: StageResult, expected: StageResult) -> Recipe:
    """The quality report."""
    return Recipe(
        "quality",
        ("quality",),
        {
            **_digests("graph", built),
            **_digests("words", tokenizer),
            **_digests("reference", expected),
            "texts": text_set_digest(),
        },
        {"preset": preset.name, "max_mean_kl": preset.max_mean_kl},
        versions(MEASURING),
    )


def weights_of(preset: Preset) -> dict[str, Any]:
    """What a preset says about weights, as JSON values."""
    weights = {key: value for key, value in asdict(preset).items() if key not in {"name", "summary", "max_mean_kl"}}
    values: dict[str, Any] = json.loads(json.dumps(weights))
    return values


def _digests(stage: str, result: StageResult) -> dict[str, str]:
    return {f"{stage}/{entry.name}": entry.sha256 for entry in result.files}
