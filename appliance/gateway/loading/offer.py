"""What the box must know about a model to load and unload it. Values only."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class LoadState(enum.Enum):
    """Where a model is."""

    UNLOADED = "unloaded"
    LOADING = "loading"
    LOADED = "loaded"
    UNLOADING = "unloading"
    FAILED = "failed"


@dataclass(frozen=True)
class Offer:
    """One model of the set.

    Attributes:
        name: its name.
        memory_bytes: memory of its process when every slot is full; 0 if it is not in main memory.
        on_demand: it is loaded when a request needs it, and may be unloaded when it is idle. Other models are loaded
            when the box starts.
        keep_alive_s: seconds without a request after which a model on demand is unloaded; None: it stays until another
            model needs its memory.
    """

    name: str
    memory_bytes: int = 0
    on_demand: bool = False
    keep_alive_s: float | None = None
