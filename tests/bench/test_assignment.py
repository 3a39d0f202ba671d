from __future__ import annotations

import dataclasses
import json

import pytest

from bench.assignment import FULL, GROWTH, LONG, QUICK, QUICK_GROWTH, QUICK_USE, USE, Assignment, Task, Work
from tests.bench.fakes import assignment


def test_a_plan_survives_the_journey():
    given = dataclasses.replace(
        assignment(), task=Task.QUALITY, texts=((1, 2), (3,)), reference="/reference", properties={"GROUP": 128},
        tasks={"edit": ((1, 2), (3,))}, end_tokens=(4, 5),
    )  # fmt: skip
    assert Assignment.from_text(given.to_text()) == given


def test_a_plan_is_one_line_of_json():
    text = assignment().to_text()
    assert "\n" not in text
    assert json.loads(text)["task"] == "speed"


@pytest.mark.parametrize("work", [FULL, LONG, USE, GROWTH, QUICK, QUICK_USE, QUICK_GROWTH])
def test_all_work_fits_the_slots_and_the_context(work: Work):
    # A newcomer needs a slot beside the busy streams; the warm-up adds a few tokens to a prompt.
    assert work.slots >= max([*work.streams, work.busy_streams + 1])
    longest = [work.prompt_tokens + work.decode_tokens] if work.streams or work.queues else []
    longest += [length + work.continued_tokens for length in work.prefill_tokens]
    longest += [max(work.arrival_prompts) + max(work.arrival_completions)] if work.arrivals else []
    assert work.context_tokens >= max(longest) + 1
