"""The kinds of machines that the operators have kernels for. On all others, the portable graph runs."""

from __future__ import annotations

import platform
from dataclasses import dataclass


@dataclass(frozen=True)
class Machine:
    """One kind of machine.

    Attributes:
        name: its name in messages.
        triple: what the library is compiled for, with the oldest glibc that can load it.
        wheel: the platform tag of a wheel with the library (PEP 600).
    """

    name: str
    triple: str
    wheel: str


X86_64 = Machine("x86-64", "x86_64-linux-gnu.2.28", "manylinux_2_28_x86_64")
ARM64 = Machine("arm64", "aarch64-linux-gnu.2.28", "manylinux_2_28_aarch64")
# The names that the system gives them.
_MACHINES = {"x86_64": X86_64, "aarch64": ARM64}


def this_machine() -> Machine | None:
    """The kind of this machine; None if the operators have no kernels for it."""
    return _MACHINES.get(platform.machine())
