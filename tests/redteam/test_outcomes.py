"""The red team itself: an attack that has no effect held, one that has broke, and the box is as before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.redteam.__main__ import outcomes
from tests.redteam.attack import Attack, NotRun, expect
from tests.redteam.attacks import every, hosts, turns
from tests.redteam.box import AttackedBox
from tests.redteam.report import Verdict

pytestmark = [pytest.mark.triton, pytest.mark.proof]


@pytest.fixture(scope="module")
def box() -> Iterator[AttackedBox]:
    with AttackedBox("tiny", seed=1) as running:
        yield running


def of(box: AttackedBox, run) -> tuple[Verdict, str]:
    (found,) = outcomes(box, [Attack("a", "R0", run)])
    return found.verdict, found.evidence


def test_attacks_hold_beside_a_bystander(box: AttackedBox):
    found = list(outcomes(box, [*hosts.ATTACKS, *turns.ATTACKS]))
    assert [one.verdict for one in found] == [Verdict.HELD] * len(found), found
    assert all("whole streams" in one.evidence for one in found)


def test_an_effect_a_bug_and_a_line_in_a_log_are_told_apart_from_what_was_not_run(box: AttackedBox):
    def log(_box: AttackedBox) -> str:
        with (box.root / "run" / "gateway.log").open("a") as stream:
            stream.write("Traceback (most recent call last)\n")
        return "nothing seen"

    def not_run(_box: AttackedBox) -> str:
        raise NotRun("no browser")

    assert of(box, lambda _: expect(False, "an effect")) == (Verdict.BROKE, "an effect")
    assert of(box, lambda _: {}["absent"])[0] is Verdict.BROKE
    assert "Traceback" in of(box, log)[1]
    assert of(box, not_run) == (Verdict.NOT_RUN, "no browser")
    assert of(box, lambda _: "fine")[0] is Verdict.HELD


def test_every_attack_has_a_name_of_its_own():
    names = [one.name for one in every(1.0)]
    assert len(set(names)) == len(names) > 30
