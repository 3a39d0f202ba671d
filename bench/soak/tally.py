"""The results of all requests of a soak, and its memory."""

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
    """The clients' results, counted while the soak runs.

    Attributes:
        fates: results of the crowd's requests.
        other_than_alone: answers with their own marker that differ from the question's answer without other clients.
        refusals: number of rejections by status.
        first_s: seconds to the first piece of each answer.
        beside_s: seconds of each `/v1/models` request meanwhile.
        broken: description of the first interrupted answer.
        rude: results of the misbehaving clients: statuses, or "cut".
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
        """Number of the crowd's requests."""
        return self.fates.total()


@dataclass(frozen=True)
class Memory:
    """Total resident bytes of some processes: before the crowd, and the maximum in each half of its requests."""

    before: int
    first_half: int
    second_half: int

    @property
    def grew(self) -> int:
        """Growth from the first half to the second: a leak appears here, but warming up does not."""
        return self.second_half - self.first_half


@dataclass(frozen=True)
class Soaked:
    """The results of one soak.

    Attributes:
        clients, slots, queue, seconds: the settings.
        tally: the results of the requests.
        gateway, box: memory of the gateway, and of all processes of the box including the gateway.
    """

    clients: int
    slots: int
    queue: int
    seconds: float
    tally: Tally
    gateway: Memory
    box: Memory

    # Growth above this is not noise of the allocator.
    MOST_GROWTH_BYTES = 32 << 20

    def faults(self) -> list[str]:
        """Descriptions of the faults; empty if there are none."""
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
