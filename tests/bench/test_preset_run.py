"""Measuring candidates for presets: over a tiny model with the real engine, and with no worker at all."""

from __future__ import annotations

from pathlib import Path

from appliance.artefact.manifest import ORT_CPU
from appliance.layout import Layout
from bench.assignment import Assignment
from bench.candidates import CANDIDATES
from bench.engines import Engine
from bench.launch import Answer
from bench.preset_run import Selection, run_presets
from bench.report import report
from export.presets import PRESETS, REFERENCE
from tests.export.progress import Steps

MODEL = "tiny"
TWO = CANDIDATES[:2]


def test_each_candidate_is_a_row_with_size_quality_and_speed(layout: Layout):
    results = run_presets(Selection(MODEL, rounds=1, candidates=TWO, quick=True), layout, Steps(), lambda _line: None)
    (table,) = results.tables
    assert [row.key for row in table.engines] == [preset.name for preset in TWO]
    for row in table.engines:
        assert row.why_not == ""
        assert row.values("decode_1")[0] > 0
        assert row.quality["size_bytes"] > 0
        assert row.quality["mean_kl"] < 0.1
    lines = report(results).splitlines()
    assert any(line.startswith(f"| {TWO[0].name} ") for line in lines)
    assert any("mean KL" in line and "decode 1 (tokens/s)" in line for line in lines)


def test_what_was_exported_to_measure_is_gone_and_the_box_has_nothing_new(layout: Layout):
    seen: list[Path] = []
    packed: list[str | None] = []

    def keep(engine: Engine, assignment: Assignment) -> Answer:
        assert Path(assignment.model, "manifest.json").is_file()
        packed.append(assignment.packed)
        seen.append(Path(assignment.model))
        return Answer({"decode_1": 1.0}, {engine.key: "1"}, 0.0)

    selection = Selection(MODEL, rounds=2, candidates=TWO, quick=True)
    run_presets(selection, layout, Steps(), lambda _line: None, run=keep)
    assert seen[:2] == seen[2:]
    assert not any(path.exists() for path in seen)
    # Each candidate has a packed graph of its own, unless this CPU has no kernels.
    assert len(set(packed)) == len(TWO) or set(packed) == {None}
    assert [path.name for path in layout.artefacts.glob("*/*")] == ["cpu-balanced"]


def test_candidates_have_names_of_their_own_and_hold_the_presets_that_they_led_to():
    names = [candidate.name for candidate in CANDIDATES]
    assert len(set(names)) == len(names)
    on_the_cpu = {name for name, preset in PRESETS.items() if preset.runtime == ORT_CPU}
    assert on_the_cpu - {REFERENCE.name} <= set(names)
