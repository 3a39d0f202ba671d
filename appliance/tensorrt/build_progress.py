"""Computes the progress of TensorRT's builder, in percent, from its tree of phases."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_WHOLE = 100


@dataclass
class _Phase:
    parent: str | None
    steps: int
    done: int = 0


class BuildProgress:
    """Sums up the phases. TensorRT calls it from several threads.

    A nested phase is a part of one step of its parent, so the total is known before later phases begin.
    """

    def __init__(self, advance: Callable[[int], None], is_interrupted: Callable[[], bool]) -> None:
        """`advance` receives the percent since the last call; `is_interrupted` returns whether the build should end."""
        self._advance = advance
        self._is_interrupted = is_interrupted
        self._phases: dict[str, _Phase] = {}
        self._told = 0
        self._lock = threading.Lock()

    def begin(self, name: str, parent: str | None, steps: int) -> None:
        """Begin a phase with this number of steps."""
        with self._lock:
            self._phases[name] = _Phase(parent, max(steps, 1))

    def step(self, name: str) -> bool:
        """Finish a step of a phase; returns whether the build should continue."""
        with self._lock:
            if name in self._phases:
                self._phases[name].done += 1
            self._tell()
        return not self._is_interrupted()

    def end(self, name: str) -> None:
        """End a phase. The end of the outermost phase completes the build."""
        with self._lock:
            phase = self._phases.pop(name, None)
            if phase is not None and phase.parent is None and not self._is_interrupted():
                self._tell_up_to(_WHOLE)

    def _tell(self) -> None:
        roots = [name for name, phase in self._phases.items() if phase.parent is None]
        if roots:
            self._tell_up_to(int(_WHOLE * self._share(roots[0])))

    def _tell_up_to(self, percent: int) -> None:
        # Concurrent phases may reduce the total a little; a progress bar only grows.
        if percent > self._told:
            self._advance(percent - self._told)
            self._told = percent

    def _share(self, name: str) -> float:
        phase = self._phases[name]
        within = [self._share(inner) for inner, other in self._phases.items() if other.parent == name]
        return min(1.0, (phase.done + max(within, default=0.0)) / phase.steps)


def monitor(trt: Any, watched: BuildProgress) -> Any:
    """TensorRT's IProgressMonitor, which reports to `watched`."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]  # the module is known at run time alone
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            watched.begin(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:  # noqa: ARG002 - TensorRT's signature
            return watched.step(phase_name)

        def phase_finish(self, phase_name: str) -> None:
            watched.end(phase_name)

    return Monitor()
