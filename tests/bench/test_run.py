"""Whole runs over a tiny model: with the real engine in its worker, and with no worker at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from appliance.errors import UnknownModelError, UnsupportedError
from appliance.layout import Layout
from appliance.store import ArtefactStore
from bench.assignment import QUICK, Assignment
from bench.engines import ENGINE, LLAMA, OPENVINO_GROUPS, OPENVINO_LOOKUP, WHOLE_PATH, Engine
from bench.environments import OWN
from bench.launch import Answer
from bench.model import prepare_model
from bench.peer_models import PeerModels
from bench.report import report
from bench.rounds import AbsentError, AssignmentFor
from bench.run import Options, assigner, run_bench, with_quality
from tests.bench.fakes import measured, table
from tests.checkpoints import make_tiny_checkpoint
from tests.export.progress import Steps
from tests.installed import files_in, install_checkpoint

MODEL = "tiny"


def answer_nothing(engine: Engine, assignment: Assignment) -> Answer:
    return Answer({"decode_1": float(assignment.threads)}, {engine.key: "1"}, 0.0)


def test_a_quick_run_measures_the_real_engine(layout: Layout):
    options = Options(models=(MODEL,), engines=(ENGINE.key,), quick=True)
    results = run_bench(options, layout, Steps(), lambda _line: None)
    assert results.quick
    assert [table.kind for table in results.tables] == ["main", "use", "growth"]
    engine, used, grown = (table.engines[0] for table in results.tables)
    assert (engine.why_not, used.why_not, grown.why_not) == ("", "", "")
    for figure in ("start_s", "ttft_idle_s", "ttft_busy_s", "prefill_64", "decode_1", "peak_bytes"):
        assert engine.values(figure)[0] > 0, figure
    for figure in ("task_edit", "task_summary", "itl_p50_s", "itl_p99_s", "mixed_ttft_p50_s"):
        assert figure in used.rounds[0], figure
    assert used.values("mixed_ttft_p50_s")[0] > 0
    assert grown.values("decode_at_64")[0] > 0
    assert {"queue_0", "queue_20"} <= set(grown.rounds[0])
    # On a busy machine one tiny stream may end before the other begins: then there is no rate of both.
    assert "decode_2" in engine.rounds[0]
    assert set(engine.quality) == {"mean_kl", "top1_agreement"}
    assert used.quality == engine.quality
    assert "A smoke test" in report(results)


@pytest.mark.triton
def test_a_quick_run_of_the_whole_path_says_what_the_gateway_takes(layout: Layout):
    options = Options(models=(MODEL,), engines=(WHOLE_PATH.key,), quick=True)
    results = run_bench(options, layout, Steps(), lambda _line: None)
    assert [table.kind for table in results.tables] == ["main", "use", "growth"]
    (path,) = results.tables[0].engines
    (used,) = results.tables[1].engines
    assert (path.why_not, used.why_not) == ("", "")
    assert used.values("mixed_ttft_p50_s")[0] > 0
    assert path.values("models_per_s")[0] > 0
    assert path.values("gateway_ttft_share")[0] < 1
    assert "gateway's share of TTFT" in report(results)


def test_a_full_run_has_all_tables(layout: Layout):
    said: list[str] = []
    options = Options(models=(MODEL, "not-there"), engines=(ENGINE.key, WHOLE_PATH.key), rounds=2)
    results = run_bench(options, layout, Steps(), said.append, run=answer_nothing)
    assert [(table.kind, table.model) for table in results.tables] == [
        (kind, MODEL) for kind in ("main", "long", "use", "growth")
    ]
    assert [[len(engine.rounds) for engine in table.engines] for table in results.tables] == [[2, 2], [2], [2, 2], [1]]
    assert any(line.startswith("not-there is left out") for line in said)


def test_a_further_model_has_the_tables_that_compare_with_fewer_rounds(layout: Layout):
    options = Options(models=(MODEL, MODEL), engines=(ENGINE.key,), rounds=3)
    results = run_bench(options, layout, Steps(), lambda _line: None, run=answer_nothing)
    assert [(table.kind, len(table.engines[0].rounds)) for table in results.tables] == [
        *(("main", 3), ("long", 3), ("use", 3), ("growth", 1)),
        *(("main", 2), ("long", 2), ("use", 2)),
    ]


def test_a_configuration_with_the_arithmetic_of_another_has_its_quality():
    qualities = {OPENVINO_GROUPS.key: {"mean_kl": 0.0123}, LLAMA.key: {"mean_kl": 0.001}}
    given = table(measured(OPENVINO_LOOKUP.key, {"task_edit": 1.0}), measured(LLAMA.key, {"task_edit": 1.0}))
    found = with_quality(given, qualities)
    assert [engine.quality["mean_kl"] for engine in found.engines] == [0.0123, 0.001]


def test_a_table_alone_has_our_quality_and_only_prompts_that_fit_the_model(layout: Layout):
    options = Options(models=(MODEL,), engines=(ENGINE.key,), tables=("growth",), rounds=1)
    results = run_bench(options, layout, Steps(), lambda _line: None, run=answer_nothing)
    (table,) = results.tables
    assert "mean_kl" in table.engines[0].quality
    # The tiny model's context has 512 tokens; a prompt of 500 leaves no space for 32 more.
    assert list(table.work["prefill_tokens"]) == []
    assert table.work["context_tokens"] == 512


@pytest.fixture
def assignment_for(layout: Layout) -> AssignmentFor:
    model = prepare_model(layout, MODEL, [ENGINE.preset], Steps())
    return assigner(model, PeerModels(model, layout.cache, lambda _line: None), QUICK)


def test_an_engine_of_ours_is_given_the_artefact(layout: Layout, assignment_for: AssignmentFor):
    assignment = assignment_for(ENGINE)
    assert Path(assignment.model) == ArtefactStore(layout).releases(MODEL, "cpu-balanced").current()
    assert assignment.work == QUICK


def test_llama_is_given_the_published_file_where_its_packages_are(layout: Layout, assignment_for: AssignmentFor):
    here = replace(LLAMA, environment=OWN, packages=("numpy",), properties={"GROUP": 128})
    assert Path(assignment_for(here).model).is_relative_to(layout.store)
    assert assignment_for(here).properties == {"GROUP": 128}
    assert assignment_for(here).packed is None


def test_a_peer_whose_packages_are_absent_is_left_out_with_their_names(assignment_for: AssignmentFor):
    with pytest.raises(AbsentError, match="no-such-package"):
        assignment_for(replace(LLAMA, environment=OWN, packages=("numpy", "no-such-package")))


def test_the_first_model_must_be_installed(layout: Layout):
    with pytest.raises(UnknownModelError):
        run_bench(Options(models=("not-there",)), layout, Steps(), lambda _line: None, run=answer_nothing)


def test_a_model_that_llama_cpp_cannot_read_is_refused(tmp_path: Path):
    layout = Layout(root=tmp_path / "root", cache=tmp_path / "cache")
    install_checkpoint(layout, MODEL, files_in(make_tiny_checkpoint(tmp_path / "checkpoint")))
    with pytest.raises(UnsupportedError, match="GGUF"):
        run_bench(Options(models=(MODEL,)), layout, Steps(), lambda _line: None, run=answer_nothing)
