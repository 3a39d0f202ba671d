"""Tests a newly built plan: opens and runs it as the engine does, on the texts in its artefact."""

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
        plan: the plan's folder, with a record.
        artefact: the folder of the artefact from which the plan was built, already checked.
        manifest: the artefact's manifest.

    Returns:
        "mean_kl" and "worst_kl" in nats, "top1_agreement", and the number of "rows".

    Raises:
        IntegrityError: the artefact contains no texts, or they cannot be read.
        QualityError: the answers differ from the checkpoint's by more than is allowed.
        ApplianceError: the plan cannot be opened or run; see `open_runner`.
    """
    manifest.file(PARITY)
    cases = from_bytes((artefact / PARITY).read_bytes())
    profile = read_record(plan).key.profile
    # If the plan's context is shorter than every text, cut the first text, which is the shortest, to the context.
    fitting = [case for case in cases if len(case.tokens) <= profile.context_tokens]
    tried = fitting or [cases[0].cut(profile.context_tokens)]
    slots = min(profile.slots, len(tried))
    config = EngineConfig(slots=slots, plan=str(plan))
    runner = open_runner(artefact, manifest, slots=slots, capacity=profile.context_tokens, config=config)
    found = [rows for at in range(0, len(tried), slots) for rows in answers(runner, tried[at : at + slots])]
    parity = compare(tried, found, manifest.shape.tokens)
    parity.check(allowed_kl(manifest.quality["max_mean_kl"]))
    return parity.figures
