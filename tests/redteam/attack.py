"""An attack: what is tried, which entries of the red team's list it stands for, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.redteam.box import AttackedBox


class Broke(Exception):  # noqa: N818 - it is an outcome, as "held" is
    """The attack had an effect; the message is the evidence."""


class NotRun(Exception):  # noqa: N818 - the third outcome
    """It cannot be tried here; the message says what is missing."""


@dataclass(frozen=True)
class Attack:
    """One of them.

    Attributes:
        name: what is tried, in a few words.
        entries: of the list of findings, the ones that it tries again: "R1 R5".
        run: tries it; returns a line of evidence that it held.
    """

    name: str
    entries: str
    run: Callable[[AttackedBox], str]


def expect(condition: object, evidence: str) -> None:
    """Go on if the condition holds.

    Raises:
        Broke: it does not.
    """
    if not condition:
        raise Broke(evidence)
