"""What became of every request of a soak, and what it cost. Values only."""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass, field


class Fate(enum.Enum):
    """How one request ended."""

    OWN = "answered, with their own marker"
    CROSSED = "answered, with another's marker"
    UNMARKED = "answered, without their marker"
    LOST = "broke off, or no status"
    REFUSED = "refused, with a status and a reason"
    LEFT = "left by the client on purpose"


@dataclass
class Tally:
    """Counts as the clients report.

    Attributes:
        fates: of the crowd's requests.
        other_than_alone: answers with their own marker, and yet not the text that the question gets alone.
        refusals: how often each status came.
        first_s: seconds to the first piece of each answer.
        beside_s: seconds that `/v1/models` took meanwhile.
        broken: what was said about the first that broke off.
        rude: what the clients without manners got: statuses, or "cut".
    """

    fates: Counter[Fate] = field(default_factory=Counter)
    other_than_alone: int = 0
    refusals: Counter[int] = field(default_factory=Counter)
    first_s: list[float] = field(default_factory=list)
    beside_s: list[float] = field(default_factory=list)
    broken: str = ""
    rude: Counter[str] = field(default_factory=Counter)

    @property
    def requests(self) -> int:
        """All of the crowd's."""
        return self.fates.total()


@dataclass(frozen=True)
class Memory:
    """Resident bytes of some processes together: before the crowd, and the most in each half of its requests."""

    before: int
    first_half: int
    second_half: int

    @property
    def grew(self) -> int:
        """How much the second half needed beyond the first: what leaks shows here, what warms up does not."""
        return self.second_half - self.first_half


@dataclass(frozen=True)
class Soaked:
    """One soak.

    Attributes:
        clients, slots, queue, seconds: what was asked for.
        tally: what became of the requests.
        gateway, box: memory of the gateway, and of all processes of the box with it.
    """

    clients: int
    slots: int
    queue: int
    seconds: float
    tally: Tally
    gateway: Memory
    box: Memory

    # More than this is not noise of the allocator.
    MOST_GROWTH_BYTES = 32 << 20

    def faults(self) -> list[str]:
        """What must not be, as sentences; empty when all is well."""
        fates = self.tally.fates
        found = [
            f"{fates[fate]} requests: {fate.value}" for fate in (Fate.CROSSED, Fate.UNMARKED, Fate.LOST) if fates[fate]
        ]
        if not fates[Fate.OWN]:
            found.append("nobody got an answer")
        if self.tally.other_than_alone:
            found.append(f"{self.tally.other_than_alone} answers differ from what the question gets alone")
        if self.gateway.grew > self.MOST_GROWTH_BYTES:
            found.append(f"the gateway's memory grew by {self.gateway.grew >> 20} MiB in the second half")
        if not self.tally.beside_s:
            found.append("the cheapest call was never answered beside the crowd")
        if self.tally.broken:
            found.append(f"the first to break off: {self.tally.broken}")
        return found
