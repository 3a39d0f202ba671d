from __future__ import annotations

from collections.abc import Sequence

import pytest

from bench.assignment import Assignment, Task
from bench.engines import ENGINE, LLAMA, OPENVINO_INT8, WHOLE_PATH, Engine
from bench.launch import Answer, WorkerFailedError
from bench.results import Measured
from bench.rounds import AbsentError, measure_in_turn
from tests.bench.fakes import assignment

THREE = (ENGINE, LLAMA, OPENVINO_INT8)


class Runs:
    """Runs nothing; remembers (engine, task, seed), and fails where it is told to."""

    def __init__(self, failing: tuple[str, int] | None = None) -> None:
        self.made: list[tuple[str, Task, int]] = []
        self._failing = failing

    def __call__(self, engine: Engine, given: Assignment) -> Answer:
        self.made.append((engine.key, given.task, given.seed))
        if (engine.key, given.seed) == self._failing:
            raise WorkerFailedError("it fell over\nand left a log")
        figures: dict[str, float | None] = {"decode_1": float(given.seed)}
        if given.task is Task.QUALITY:
            figures = {"mean_kl": 0.5}
        return Answer(figures, {engine.key: "1"}, 0.25)


def measure(
    runs: Runs, *, rounds: int = 2, with_quality: bool = False, engines: Sequence[Engine] = THREE
) -> dict[str, Measured]:
    found = measure_in_turn(
        engines, lambda _engine: assignment(), rounds, with_quality=with_quality, run=runs, say=lambda _line: None
    )
    return {one.key: one for one in found}


def test_engines_take_turns_and_a_round_has_the_same_prompts_for_all():
    runs = Runs()
    measure(runs)
    assert [(key, seed) for key, _, seed in runs.made] == [(one.key, seed) for seed in (0, 1) for one in THREE]


def test_each_round_is_kept():
    one = measure(Runs())[LLAMA.key]
    assert one.values("decode_1") == [0.0, 1.0]
    assert one.others_cores == (0.25, 0.25)
    assert one.versions == {LLAMA.key: "1"}


def test_quality_comes_last_and_of_those_who_give_logits():
    runs = Runs()
    found = measure(runs, rounds=1, with_quality=True, engines=(*THREE, WHOLE_PATH))
    giving = [ENGINE.key, LLAMA.key, OPENVINO_INT8.key]
    assert [key for key, task, _ in runs.made if task is Task.QUALITY] == giving
    assert [task for _, task, _ in runs.made] == [Task.SPEED] * 4 + [Task.QUALITY] * 3
    assert found[LLAMA.key].quality == found[ENGINE.key].quality == {"mean_kl": 0.5}
    assert found[WHOLE_PATH.key].quality == {}


def test_an_absent_engine_says_why_and_the_others_go_on():
    def assignment_for(engine: Engine) -> Assignment:
        if engine is LLAMA:
            raise AbsentError("nobody installed it")
        return assignment()

    runs = Runs()
    found = measure_in_turn(THREE, assignment_for, 1, with_quality=True, run=runs, say=lambda _line: None)
    assert [one.why_not for one in found] == ["", "absent: nobody installed it", ""]
    assert LLAMA.key not in {key for key, _, _ in runs.made}


@pytest.mark.parametrize("with_quality", [True, False])
def test_an_engine_that_fails_keeps_its_rounds_and_is_left_out_from_then_on(with_quality: bool):
    runs = Runs(failing=(LLAMA.key, 1))
    one = measure(runs, rounds=3, with_quality=with_quality)[LLAMA.key]
    assert one.why_not == "failed: it fell over"
    assert one.values("decode_1") == [0.0]
    assert [seed for key, _, seed in runs.made if key == LLAMA.key] == [0, 1]
