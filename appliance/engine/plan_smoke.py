"""Tries a plan that was built this moment: opened and run as the engine will, on the texts that its artefact brings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from appliance.artefact import Manifest
from appliance.engine.parity import PARITY, allowed_kl, answers, compare, from_bytes
from appliance.engine.runners import open_runner
from appliance.inference.config import EngineConfig
from appliance.tensorrt.open_plan import read_record


def smoke(plan: Path, artefact: Path, manifest: Manifest) -> Mapping[str, float]:
    """Run a plan and compare its answers with those of the unquantised checkpoint.

    Args:
        plan: its folder, with a record.
        artefact: the folder that it was built from, which has been through the gate.
        manifest: what is in it.

    Returns:
        "mean_kl" and "worst_kl" in nats, "top1_agreement", and over how many "rows".

    Raises:
        IntegrityError: the artefact brings no texts, or they cannot be read.
        QualityError: the answers are not those of the model.
        ApplianceError: the plan cannot be opened or run; see `open_runner`.
    """
    manifest.file(PARITY)
    cases = from_bytes((artefact / PARITY).read_bytes())
    profile = read_record(plan).key.profile
    # In a plan for short contexts, the shortest text is read as far as it goes.
    fitting = [case for case in cases if len(case.tokens) <= profile.context_tokens]
    tried = fitting or [cases[0].cut(profile.context_tokens)]
    slots = min(profile.slots, len(tried))
    config = EngineConfig(slots=slots, plan=str(plan))
    runner = open_runner(artefact, manifest, slots=slots, capacity=profile.context_tokens, config=config)
    found = [rows for at in range(0, len(tried), slots) for rows in answers(runner, tried[at : at + slots])]
    parity = compare(tried, found, manifest.shape.tokens)
    parity.check(allowed_kl(manifest.quality["max_mean_kl"]))
    return parity.figures
