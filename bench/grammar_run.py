"""Measures the cost of a grammar: our engine without and with a grammar, in turn."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime, timezone

from appliance.layout import Layout
from bench.assignment import GRAMMARS, QUICK, Assignment
from bench.engines import ENGINE, Engine
from bench.launch import run_worker
from bench.machine import describe_machine
from bench.model import prepare_model
from bench.peer_models import PeerModels
from bench.results import Results, Table
from bench.rounds import Run, Say, measure_in_turn
from bench.run import assigner
from export.presets import DEFAULT
from export.progress import Progress

FREE = dataclasses.replace(ENGINE, key="free", title="free", note="any text")
CONSTRAINED = dataclasses.replace(
    ENGINE, key="constrained", title="constrained", note="every completion must match a JSON schema"
)
# Records as applications request them, so many that no completion reaches the end.
_RECORD = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "summary": {"type": "string", "maxLength": 400},
        "kind": {"enum": ["function", "class", "module", "other"]},
        "lines": {"type": "integer", "minimum": 0},
        "tags": {"type": "array", "items": {"type": "string", "pattern": "^[a-z-]{1,20}$"}, "maxItems": 5},
    },
    "required": ["title", "summary", "kind", "lines", "tags"],
    "additionalProperties": False,
}
SCHEMA = json.dumps({"type": "array", "items": _RECORD, "minItems": 1000})


@dataclasses.dataclass(frozen=True)
class Selection:
    """The settings of the run.

    Attributes:
        model: name of an installed model.
        rounds: number of rounds.
        quick: smoke test with few tokens.
    """

    model: str
    rounds: int = 3
    quick: bool = False


def run_grammars(selection: Selection, layout: Layout, progress: Progress, say: Say, run: Run = run_worker) -> Results:
    """Measure the engine without and with a grammar.

    Raises:
        ApplianceError: the model is not installed or cannot be exported.
    """
    started = datetime.now(timezone.utc)
    work = QUICK if selection.quick else GRAMMARS
    model = prepare_model(layout, selection.model, (DEFAULT,), progress)
    assignment_free = assigner(model, PeerModels(model, layout.cache, say), work)

    def assignment_for(engine: Engine) -> Assignment:
        assignment = assignment_free(engine)
        schema = SCHEMA if engine.key == CONSTRAINED.key else ""
        return dataclasses.replace(assignment, work=dataclasses.replace(assignment.work, schema=schema))

    measured = measure_in_turn(
        (FREE, CONSTRAINED), assignment_for, selection.rounds, with_quality=False, run=run, say=say
    )  # fmt: skip
    table = Table("grammars", model.name, model.sha256, dataclasses.asdict(work), measured)
    return Results(f"{started:%Y-%m-%d %H:%M} UTC", describe_machine(), (table,), selection.quick)
