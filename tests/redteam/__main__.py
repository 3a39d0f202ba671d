"""`python -m tests.redteam`: attack a real box in every way that is known, beside a bystander, and print what held."""

from __future__ import annotations

import argparse
import contextlib
import random
import re
import sys
import time
import traceback
from collections.abc import Iterable

from tests.redteam.attack import Attack, Broke, NotRun
from tests.redteam.attacks import every
from tests.redteam.box import AttackedBox
from tests.redteam.bystander import Bystander
from tests.redteam.footprint import Footprint, settled
from tests.redteam.report import Outcome, Report, Verdict
from tests.redteam.warm_up import warm_up


def main() -> int:
    """Run it; 0 if everything held."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.redteam",
        description="Attack a real box on this machine with all known attacks, while a well-behaved client uses it, "
        "and print the result of each attack.",
    )
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="total time for fuzzing, shared by all fuzzers (default: 60)"
    )
    parser.add_argument("--seed", type=int, help="seed that an earlier run printed, to repeat its random choices")
    parser.add_argument(
        "--model", choices=["tiny", "real"], default="tiny", help="tiny: random weights; real: the demo model"
    )
    parser.add_argument(
        "--only", default="", metavar="PATTERN", help="run only attacks whose name or entry points match this regex"
    )
    parser.add_argument(
        "--rounds", type=int, default=1, help="repeat all attacks on one box, to find growing memory use (default: 1)"
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON for each attack")
    given = parser.parse_args()
    seed = random.randrange(1 << 32) if given.seed is None else given.seed
    report = Report(as_json=given.json)
    report.note(f"seed {seed}")
    chosen = [one for one in every(given.seconds) if re.search(given.only, f"{one.name} {one.entries}", re.IGNORECASE)]
    with AttackedBox(given.model, seed) as box:
        warm_up(box)
        before = settled(box.process.pid, Footprint.of(box.process.pid))
        for _ in range(given.rounds):
            for outcome in outcomes(box, chosen):
                report.add(outcome)
            before = _compare(box, before, report)
    report.end()
    return 0 if report.is_good else 1


def outcomes(box: AttackedBox, attacks: Iterable[Attack]) -> Iterable[Outcome]:
    """Run each beside a bystander, and look at the box after it."""
    for attack in attacks:
        began = time.monotonic()
        verdict, evidence = Verdict.HELD, ""
        try:
            parts = box.parts
            with Bystander(box) as bystander:
                evidence = attack.run(box)
            evidence = f"{evidence}; {bystander.check()}"
            _check_unharmed(box, parts)
        except NotRun as error:
            verdict, evidence = Verdict.NOT_RUN, str(error)
        except Broke as error:
            verdict, evidence = Verdict.BROKE, str(error)
        except Exception:  # noqa: BLE001 - an attack that ends in any other way found something too
            verdict, evidence = Verdict.BROKE, traceback.format_exc(limit=-4)
        yield Outcome(attack.name, attack.entries, verdict, evidence, round(time.monotonic() - began, 1))
        if verdict is Verdict.BROKE:
            # What one left behind is not the next one's.
            with contextlib.suppress(AssertionError):
                box.new_trouble()


def _check_unharmed(box: AttackedBox, parts: tuple[int | None, int | None, int, int]) -> None:
    if box.parts != parts:
        raise Broke(f"a part of the box ended: {parts} before, {box.parts} now")
    if trouble := box.new_trouble():
        raise Broke(f"a log has {trouble[0]}")


def _compare(box: AttackedBox, before: Footprint, report: Report) -> Footprint:
    """Report what a round left behind, and return it."""
    after = settled(box.process.pid, before)
    columns = ("program", "MiB", "descriptors", "threads")
    report.table("Before the attacks and after them", columns, list(after.rows(before)))
    growth = after.growth(before)
    evidence = "; ".join(growth) or "memory, descriptors, threads and programs as before"
    verdict = Verdict.BROKE if growth else Verdict.HELD
    report.add(Outcome("what is left of all of them", "all", verdict, evidence, 0.0))
    return after


if __name__ == "__main__":
    sys.exit(main())
