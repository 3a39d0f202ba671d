from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.engines import ENGINE, LLAMA
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
    assert row(report(RUN), "decode, 1 stream")[1] == "62.0 (61.0-63.0)"


def test_units_are_those_of_the_row():
    text = report(results(RUN.tables[0]))
    assert row(text, "peak memory")[1] == "900"
    assert row(text, "added mean KL (")[1] == "0.0136"
    assert row(text, "top-1 agreement")[1] == "96.0"


def test_an_absent_engine_is_printed_as_absent_with_the_reason():
    text = report(results(RUN.tables[0]))
    assert row(text, "decode, 1 stream")[2] == "absent"
    assert "**absent: llama-cpp-python not installed in .venv-bench**" in text


def test_what_was_not_measured_is_a_dash():
    assert row(report(results(RUN.tables[0])), "decode, 8 streams")[1] == "-"


def test_the_table_of_long_prompts_has_rates_and_seconds():
    text = report(results(RUN.tables[1]))
    assert row(text, "prefill of 1,000")[1] == "400"
    assert row(text, "TTFT of 1,000")[1] == "2.50"
    assert "### Targets" not in text


def test_machine_versions_and_standing_are_in_it():
    text = report(RUN)
    assert row(text, "CPU") == ["CPU", "abacus"]
    assert f"Versions: {ENGINE.key} 1.0" in text
    assert row(text, "added mean KL of the default")[1:] == ["at most 0.01", "0.0136", "**not met**"]
    assert row(text, "engine against llama.cpp, prefill")[3] == "not measured"


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
