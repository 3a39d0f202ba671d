"""`python -m bench.step_profile [MODEL]`: where the time of a step goes, on the CPU, in milliseconds.

It runs steps of the model's graph with ONNX Runtime's profiler, and takes the least time of each node in several equal
steps. Profiling itself takes a few microseconds a node.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import sys
import tempfile
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from appliance.artefact import Manifest
from appliance.artefact.gate import check_graph
from appliance.artefact.manifest import GRAPH
from appliance.engine.logits import Logits
from appliance.engine.memory import HostMemory
from appliance.engine.ort_runner import OrtRunner
from appliance.engine.request import Request
from appliance.engine.sampler import SamplerState, choose
from appliance.inference.sampling import SamplingParams
from appliance.layout import Layout
from appliance.onnx_runtime import ort
from appliance.ops.library import library
from appliance.packed.open import PackedGraph
from appliance.packed.record import PackedKey
from appliance.packed.served import served_graph
from appliance.supervisor.choose import choose as choose_artefact
from bench.markdown import table

_SLOTS = 16
_PAST = 200
_PROMPTS = (32, 512)
_LAYER = re.compile(r"model\.layers\.\d+\.")
_KERNEL = "_kernel_time"
ALL, CHOICE, REST = "all nodes of the graph", "choosing the tokens", "Python around the graph"


@dataclass(frozen=True)
class Timed:
    """One step, measured from outside.

    Attributes:
        step_ms: the runner's call.
        choice_ms: choosing the tokens from its logits.
    """

    step_ms: float
    choice_ms: float


def parts(events: Sequence[Mapping[str, Any]], timed: Sequence[Sequence[Timed]]) -> list[dict[str, float]]:
    """The milliseconds of each part of a step, for each kind of step.

    A part is the same node of all layers, all norms, or all small nodes outside the layers. ALL is their sum.
    Each time is the least of equal steps, so a part that another program delayed once does not count.

    Args:
        events: the events of ONNX Runtime's profile.
        timed: the last runs of the graph by kind of step, in order of time.
    """
    kinds = [kind for kind, steps in enumerate(timed) for _ in steps]
    runs = sorted((event["ts"], event["dur"]) for event in events if event["name"] == "model_run")[-len(kinds) :]
    starts = [start for start, _ in runs]
    least: list[dict[tuple[str, str], float]] = [{} for _ in timed]
    for event in events:
        # Earlier runs measured the tile.
        run = bisect_right(starts, event["ts"]) - 1
        if event["cat"] == "Node" and event["name"].endswith(_KERNEL) and run >= 0:
            of_kind, node = least[kinds[run]], (event["name"], event["args"]["op_name"])
            of_kind[node] = min(of_kind.get(node, math.inf), event["dur"] / 1e3)
    found = []
    for kind, steps in enumerate(timed):
        graph = [duration / 1e3 for place, (_, duration) in zip(kinds, runs, strict=True) if place == kind]
        sums: defaultdict[str, float] = defaultdict(float)
        for (name, operator), duration in least[kind].items():
            sums[_part(name.removesuffix(_KERNEL), operator)] += duration
        sums[ALL] = sum(sums.values())
        sums[CHOICE] = min(step.choice_ms for step in steps)
        sums[REST] = max(0.0, min(step.step_ms - of_graph for step, of_graph in zip(steps, graph, strict=True)))
        found.append(dict(sums))
    return found


def _part(node: str, operator: str) -> str:
    if operator.endswith("LayerNormalization"):
        return "norms"
    if _LAYER.match(node):
        return _LAYER.sub("", node)
    return operator if operator in {"RescoredHead", "ListCandidates", "MatMulPacked", "MatMulNBits"} else "other"


def _profile(
    graph: Path, manifest: Manifest, operators: str | None, threads: int, repeats: int
) -> dict[str, dict[str, float]]:
    """The parts of each kind of step."""
    with tempfile.TemporaryDirectory() as scratch:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.enable_mem_pattern = False
        options.enable_profiling = True
        options.profile_file_prefix = f"{scratch}/profile"
        if operators is not None:
            options.register_custom_ops_library(operators)
        session = ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        capacity = max(_PAST + 1, *_PROMPTS)
        runner = OrtRunner(session, HostMemory(), manifest.shape, slots=_SLOTS, capacity=capacity)
        timed = {kind: _run(step, rows, manifest, repeats) for kind, rows, step in _steps(runner, manifest)}
        events = json.loads(Path(session.end_profiling()).read_text())
    return dict(zip(timed, parts(events, list(timed.values())), strict=True))


def _steps(runner: OrtRunner, manifest: Manifest) -> list[tuple[str, int, Callable[[], Logits]]]:
    """The kinds of steps: title, rows of logits, and what runs one."""
    ids = [token * 97 % manifest.shape.tokens for token in range(max(_SLOTS, *_PROMPTS))]
    return [
        *((f"decode {rows}", rows, partial(runner.decode, ids[:rows], [_PAST] * rows)) for rows in (1, 8, _SLOTS)),
        *((f"prompt of {length}", 1, partial(runner.prefill, 0, 0, ids[:length])) for length in _PROMPTS),
    ]


def _run(step: Callable[[], Logits], rows: int, manifest: Manifest, repeats: int) -> list[Timed]:
    states = [SamplerState(Request("profile", (1,), SamplingParams(temperature=0.0)), (0,)) for _ in range(rows)]
    timed = []
    for _ in range(repeats):
        start = time.perf_counter()
        logits = step()
        middle = time.perf_counter()
        choose(logits, range(rows), states, manifest.shape.tokens)
        timed.append(Timed((middle - start) * 1e3, (time.perf_counter() - middle) * 1e3))
    return timed


def report(found: Mapping[str, dict[str, float]]) -> str:
    """A table in Markdown: parts by kinds of steps, the largest part first."""
    own = [ALL, CHOICE, REST]
    names = {name for each in found.values() for name in each if name not in own}
    order = [*sorted(names, key=lambda name: -sum(each.get(name, 0.0) for each in found.values())), *own]
    rows = [[name, *(f"{each.get(name, 0.0):.2f}" for each in found.values())] for name in order]
    return table(["ms", *found], rows)


def main(words: Sequence[str]) -> None:
    """Profile the model that the words name."""
    parser = argparse.ArgumentParser(prog="python -m bench.step_profile", description="Where the time of a step goes.")
    parser.add_argument("model", nargs="?", help="an exported model")
    parser.add_argument("--root", type=Path, help="folder for the state of the box, as for `appliance`")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="threads (default: all)")
    parser.add_argument("--repeats", type=int, default=10, help="steps of each kind")
    given = parser.parse_args(words)
    layout = Layout.from_environment(os.environ, given.root)
    artefact = choose_artefact(layout, given.model, "cpu", None)
    folder = served_graph(layout, artefact.folder, artefact.manifest, lambda line: print(line, file=sys.stderr)).packed
    if folder is None:
        check_graph(artefact.folder, artefact.manifest)
        graph, operators = artefact.folder / GRAPH, None
    else:
        graph = PackedGraph.find(folder, PackedKey.of(artefact.manifest, library().digest)).check()
        operators = library().path
    print(report(_profile(graph, artefact.manifest, operators, given.threads, given.repeats)))


if __name__ == "__main__":
    main(sys.argv[1:])
