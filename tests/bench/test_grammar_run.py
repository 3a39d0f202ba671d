"""What a grammar costs, over a tiny model with the real engine: both are measured, and the report has their ratio."""

from __future__ import annotations

from appliance.layout import Layout
from bench.assignment import Assignment
from bench.grammar_run import CONSTRAINED, FREE, SCHEMA, Selection, run_grammars
from bench.launch import Answer
from bench.report import report
from tests.bench.test_run import MODEL
from tests.export.progress import Steps


def test_a_quick_run_measures_the_real_engine_without_and_with_a_grammar(layout: Layout):
    results = run_grammars(Selection(MODEL, rounds=1, quick=True), layout, Steps(), lambda _line: None)
    (table,) = results.tables
    assert [engine.key for engine in table.engines] == [FREE.key, CONSTRAINED.key]
    for engine in table.engines:
        assert engine.why_not == ""
        assert engine.values("decode_1")[0] > 0
    assert "Decoding 1 at once under a grammar: " in report(results)


def test_only_the_constrained_one_is_given_the_schema_and_both_get_the_same_prompts(layout: Layout):
    given: list[tuple[str, Assignment]] = []

    def answer(engine, assignment):
        given.append((engine.key, assignment))
        return Answer({"decode_1": 10.0, "decode_8": 40.0 if assignment.work.schema else 80.0}, {}, 0.0)

    results = run_grammars(Selection(MODEL, rounds=2), layout, Steps(), lambda _line: None, run=answer)
    assert [(key, assignment.work.schema, assignment.seed) for key, assignment in given] == [
        ("free", "", 0),
        ("constrained", SCHEMA, 0),
        ("free", "", 1),
        ("constrained", SCHEMA, 1),
    ]
    assert "Decoding 8 at once under a grammar: 50.0% of the throughput without (40.0 of 80.0 tokens/s)." in report(
        results
    )
