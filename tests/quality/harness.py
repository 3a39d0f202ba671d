"""Runs of lm-evaluation-harness, and their results."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-oracle" / "bin" / "python"
TASKS = "tests/quality/tasks"


@dataclass(frozen=True)
class Figure:
    """One metric of one task.

    Attributes:
        value: the metric.
        error: its standard error; None if the harness computes none.
    """

    value: float
    error: float | None


# (task, metric) → the figure.
Figures = Mapping[tuple[str, str], Figure]


@dataclass(frozen=True)
class Run:
    """One run of the harness.

    Attributes:
        model: a model type of the harness: "hf", "local-completions".
        arguments: the arguments of the model.
        tasks: the tasks' names.
        chat: whether the chat template is applied.
    """

    model: str
    arguments: dict[str, str]
    tasks: tuple[str, ...]
    chat: bool = False

    @property
    def words(self) -> list[str]:
        """The command line after `python -m lm_eval`."""
        joined = ",".join(f"{name}={value}" for name, value in self.arguments.items())
        words = ["--model", self.model, "--model_args", joined, "--tasks", ",".join(self.tasks)]
        return [*words, "--include_path", TASKS, *(["--apply_chat_template"] if self.chat else [])]

    def figures(self, key: str) -> Figures:
        """Run it, and return the figure of each task and metric; `key` is an API key of the box."""
        with tempfile.TemporaryDirectory(prefix="appliance-quality-") as folder:
            offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": folder, "OPENAI_API_KEY": key}
            command = [str(PYTHON), "-m", "lm_eval", *self.words, "--output_path", f"{folder}/results"]
            subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, **offline})
            (path,) = Path(folder, "results").rglob("results_*.json")
            return _figures(json.loads(path.read_text(encoding="utf-8")))


def _figures(report: dict) -> Figures:
    found = {}
    for task, metrics in report["results"].items():
        for name, value in metrics.items():
            metric, _, filtered = name.partition(",")
            if filtered and not metric.endswith("_stderr"):
                error = metrics.get(f"{metric}_stderr,{filtered}")
                found[task, metric] = Figure(value, error if isinstance(error, float) else None)
    return found
