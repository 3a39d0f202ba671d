from __future__ import annotations

import dataclasses
import json

import pytest

from bench.assignment import FULL, LONG, QUICK, Assignment, Task, Work
from tests.bench.fakes import assignment


def test_a_plan_survives_the_journey():
    given = dataclasses.replace(
        assignment(), task=Task.QUALITY, texts=((1, 2), (3,)), reference="/reference", properties={"GROUP": 128}
    )
    assert Assignment.from_text(given.to_text()) == given


def test_a_plan_is_one_line_of_json():
    text = assignment().to_text()
    assert "\n" not in text
    assert json.loads(text)["task"] == "speed"


@pytest.mark.parametrize("work", [FULL, LONG, QUICK], ids=["full", "long", "quick"])
def test_all_work_fits_the_slots_and_the_context(work: Work):
    # A newcomer needs a slot beside the busy streams; the warm-up adds a few tokens to a prompt.
    assert work.slots >= max([*work.streams, work.busy_streams + 1])
    assert work.context_tokens >= max(work.prompt_tokens + work.decode_tokens, *work.prefill_tokens) + 1
