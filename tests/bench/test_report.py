from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.engines import ENGINE, LLAMA, OPENVINO_INT4
from bench.report import BEGIN, END, PageError, put_into, report
from bench.results import Results
from tests.bench.fakes import measured, results, table

RUN = results(
    table(
        measured(ENGINE.key, {"decode_1": 61.04, "peak_bytes": 9e8}, {"decode_1": 63.0}, mean_kl=0.0136),
        measured(LLAMA.key, why_not="absent: llama-cpp-python not installed in .venv-bench"),
    ),
    table(measured(ENGINE.key, {"prefill_1000": 400.0, "ttft_1000": 2.5}), kind="long"),
)


def row(text: str, beginning: str) -> list[str]:
    """The cells of the row that begins so."""
    lines = [line for line in text.splitlines() if line.startswith(f"| {beginning}")]
    assert len(lines) == 1, lines
    return [cell.strip() for cell in lines[0].strip("|").split("|")]


def test_a_cell_has_the_median_and_the_range_of_several_rounds():
    assert row(report(RUN), "decode, 1 stream (")[1] == "62.0 (61.0-63.0)"


def test_units_are_those_of_the_row():
    text = report(results(RUN.tables[0]))
    assert row(text, "peak memory (")[1] == "900"
    assert row(text, "added mean KL (")[1] == "0.0136"
    assert row(text, "top-1 agreement")[1] == "96.0"


def test_an_absent_engine_is_printed_as_absent_with_the_reason():
    text = report(results(RUN.tables[0]))
    assert row(text, "decode, 1 stream (")[2] == "absent"
    assert "**absent: llama-cpp-python not installed in .venv-bench**" in text


def test_what_was_not_measured_is_a_dash():
    assert row(report(results(RUN.tables[0])), "decode, 8 streams (")[1] == "-"


def test_the_table_of_long_prompts_has_rates_and_seconds():
    text = report(results(RUN.tables[1]))
    assert row(text, "prefill of 1,000 (")[1] == "400"
    assert row(text, "TTFT of 1,000")[1] == "2.50"
    assert "### Verdict" not in text


def test_machine_versions_and_standing_are_in_it():
    text = report(RUN)
    assert row(text, "CPU") == ["CPU", "abacus"]
    assert text.startswith("Measured 2026-01-01 00:00 UTC.\n")
    assert report(replace(RUN, minutes=97.2)).startswith("Measured 2026-01-01 00:00 UTC, in 97 minutes.\n")
    assert f"Versions: {ENGINE.key} 1.0" in text
    assert row(text, "added mean KL  ")[1:] == [
        "0.0136 nats",
        "-",
        "-",
        "\N{LESS-THAN OR EQUAL TO} 0.01 nats",
        "**missed by 36.0%**",
    ]
    assert row(text, "prefill of 8,000")[-1] == "not measured"


def test_a_peer_that_is_too_inexact_is_named_below_the_verdict():
    inexact = measured(OPENVINO_INT4.key, {"decode_1": 90.0}, mean_kl=0.118)
    text = report(results(table(measured(ENGINE.key, {"decode_1": 61.0}, mean_kl=0.01), inexact)))
    assert f"title of {OPENVINO_INT4.key} (0.1180)" in text.splitlines()[-1]
    assert row(text, "decode, 1 stream, no speculation")[2] == "-"


def test_arriving_requests_and_growing_work_have_tables():
    used = table(measured(ENGINE.key, {"task_edit": 40.0, "itl_p99_s": 0.0123}, mean_kl=0.01), kind="use")
    used = replace(used, work={"arrivals": 20, "arrival_gap_s": 1.91})
    grown = table(measured(ENGINE.key, {"decode_at_1000": 30.0, "queue_100": 250.0}), kind="growth")
    grown = replace(grown, work={"prefill_tokens": [1000], "queues": [100], "slots": 8})
    text = report(results(used, grown))
    assert row(text, "arriving requests: ITL, p99")[1] == "12.3"
    assert "one every 1.9 s" in text
    assert row(text, "decode after 1,000 tokens")[1] == "30.0"
    assert row(text, "decode, 8 streams, 100 requests wait")[1] == "250.0"


def test_a_smoke_test_is_not_judged():
    assert "### Verdict" in report(RUN)
    assert "### Verdict" not in report(replace(RUN, quick=True))


def test_energy_has_rows_only_where_the_machine_reports_it():
    assert "energy" not in report(RUN)
    text = report(results(table(measured(ENGINE.key, {"joules_1": 0.4}))))
    assert row(text, "energy of 1 stream ")[1] == "0.40"


def test_every_row_of_a_table_has_as_many_cells_as_its_head():
    tables = [block for block in report(RUN).split("\n\n") if block.startswith("|")]
    assert len(tables) > len(RUN.tables)
    for block in tables:
        assert len({line.count("|") for line in block.splitlines()}) == 1


def test_a_round_beside_other_work_is_said_so():
    busy = replace(measured(ENGINE.key, {"decode_1": 1.0}, {"decode_1": 1.0}), others_cores=(0.0, 1.25))
    assert "Other programs used up to 1.2 cores during 1 of 2 rounds." in report(results(table(busy)))


def test_results_survive_the_file():
    assert Results.from_bytes(RUN.to_bytes()).to_bytes() == RUN.to_bytes()
    assert report(Results.from_bytes(RUN.to_bytes())) == report(RUN)


@pytest.mark.parametrize("content", [b"{}", b"[]", b"no", b'{"schema": 99}', b'{"schema": 1, "tables": [{}]}'])
def test_another_file_is_refused(content: bytes):
    with pytest.raises(ValueError):
        Results.from_bytes(content)


def test_the_page_keeps_what_is_around_the_markers(tmp_path: Path):
    page = tmp_path / "performance.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    put_into(page, "new\n")
    put_into(page, "newer\n")
    assert page.read_text(encoding="utf-8") == f"before\n{BEGIN}\n\nnewer\n\n{END}\nafter\n"


@pytest.mark.parametrize("content", ["nothing", BEGIN, f"{END}{BEGIN}"])
def test_a_page_without_markers_is_left_alone(tmp_path: Path, content: str):
    page = tmp_path / "page.md"
    page.write_text(content, encoding="utf-8")
    with pytest.raises(PageError):
        put_into(page, "new")
    assert page.read_text(encoding="utf-8") == content
