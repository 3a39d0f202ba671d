"""Tries a plan that was built this moment: opened and run as the engine will, against a reference on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from appliance.artefact import Manifest
from appliance.engine.config import EngineConfig
from appliance.engine.float_reference import reference_logits
from appliance.engine.runner import Runner
from appliance.engine.runners import open_runner
from appliance.errors import QualityError
from appliance.tensorrt.open_plan import read_record

# A wrong mask, position or kernel is off by whole units; rounding to half-width numbers, at one place, by far less.
MOST_KL = 0.05
PROMPT_TOKENS = 24
# A prime, so that tokens repeat late.
_STRIDE = 7919


def smoke(plan: Path, artefact: Path, manifest: Manifest) -> Mapping[str, float]:
    """Run a plan and compare its answers.

    Args:
        plan: its folder, with a record.
        artefact: the folder that it was built from, which has been through the gate.
        manifest: what is in it.

    Returns:
        See `compare`.

    Raises:
        QualityError: see `compare`.
        ApplianceError: the plan cannot be opened or run; see `open_runner`.
    """
    count = min(PROMPT_TOKENS, read_record(plan).key.profile.context_tokens)
    config = EngineConfig(slots=1, plan=str(plan))
    runner = open_runner(artefact, manifest, slots=1, capacity=count, config=config)
    tokens = [index * _STRIDE % manifest.shape.tokens for index in range(count)]
    return compare(runner, tokens, reference_logits(artefact, manifest.shape, tokens), manifest.shape.tokens)


def compare(runner: Runner, tokens: list[int], reference: NDArray[np.float32], vocabulary: int) -> Mapping[str, float]:
    """Compute a prompt in one step, and again with its last token decoded; compare both with the reference.

    Args:
        runner: with one slot of as many rows as there are tokens.
        tokens: the prompt.
        reference: the last token's logits.
        vocabulary: how many of the logits have a token.

    Returns:
        "prefill_kl" and "decode_kl": the divergence of the reference from each, in nats.

    Raises:
        QualityError: one of them is beyond MOST_KL, or no number.
        EngineError: a step failed.
    """
    last = len(tokens) - 1
    prefill = runner.prefill(0, 0, tokens).rows([0])[0].copy()
    runner.prefill(0, 0, tokens[:last])
    decode = runner.decode(tokens[last:], [last]).rows([0])[0].copy()
    expected = _log_probabilities(reference[:vocabulary])
    figures = {
        name: float(np.sum(np.exp(expected) * (expected - _log_probabilities(row[:vocabulary]))))
        for name, row in (("prefill_kl", prefill), ("decode_kl", decode))
    }
    for name, figure in figures.items():
        if not figure <= MOST_KL:
            raise QualityError(
                f"the plan does not answer like the reference: {name} is {figure:.4f}, at most {MOST_KL:g} is allowed",
                hint="the plan that was current stays so; report this with the versions of TensorRT and the driver",
            )
    return figures


def _log_probabilities(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max()
    normalised: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum())
    return normalised
