from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from bench.engines import ENGINE
from bench.environments import OWN, Environment
from bench.launch import WorkerFailedError, run_worker
from tests.bench.fakes import STEP_S, assignment

STUB = dataclasses.replace(ENGINE, module="tests.bench.stub_worker")


def model(folder: Path, content: str) -> str:
    path = folder / "model"
    path.write_text(content, encoding="utf-8")
    return str(path)


def test_a_worker_answers_in_spite_of_noise_on_its_standard_output(tmp_path: Path):
    answer = run_worker(STUB, dataclasses.replace(assignment(), model=model(tmp_path, "work")))
    assert answer.versions == {"steady": "1"}
    assert answer.figures["decode_1"] == pytest.approx(1 / STEP_S)
    assert answer.figures["prefill_10"] == pytest.approx(1 / STEP_S)
    assert answer.others_cores >= 0


def test_a_worker_that_falls_over_is_reported_with_its_last_words(tmp_path: Path):
    with pytest.raises(WorkerFailedError, match=r"(?s)status 1.*the last words"):
        run_worker(STUB, dataclasses.replace(assignment(), model=model(tmp_path, "fall over")))


def test_an_environment_that_is_not_there_is_named():
    absent = Environment(".venv-nowhere", Path("/nowhere/bin/python"))
    assert absent.missing(["numpy", "nncf"]) == "nncf, numpy not installed in .venv-nowhere"


def test_a_missing_package_is_named_and_an_installed_one_is_not():
    assert OWN.missing(["numpy", "no-such-package"]) == "no-such-package not installed in this environment"
    assert OWN.missing(["numpy"]) == ""
