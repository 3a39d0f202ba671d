"""ONNX Runtime GenAI; on the CPU, all sequences of a batch start together. Run by the peers' interpreter."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import onnxruntime_genai as og
from numpy.typing import NDArray

from bench.assignment import Assignment
from bench.workers.arrivals import Arrival
from bench.workers.rim import work
from bench.workers.timeline import Timeline


class OrtGenAiSubject:
    """See `Subject`."""

    takes_newcomers = False
    spawned_at: float | None = None

    def __init__(self, assignment: Assignment) -> None:
        config = og.Config(assignment.model)
        decoder = {"session_options": {"intra_op_num_threads": assignment.threads}}
        config.overlay(json.dumps({"model": {"decoder": decoder}}))
        self._model = og.Model(config)

    @property
    def versions(self) -> Mapping[str, str]:
        """See `Subject`."""
        return {"onnxruntime-genai": version("onnxruntime-genai"), "onnxruntime": version("onnxruntime")}

    @property
    def processes(self) -> Sequence[int]:
        """See `Subject`."""
        return [os.getpid()]

    def held_bytes(self) -> None:
        """Unknown."""

    def complete(self, prompts: Sequence[Sequence[int]], tokens: int) -> list[Timeline]:
        """See `Subject`; all prompts have the same length."""
        generator = self._generator(len(prompts), len(prompts[0]) + tokens)
        asked = time.perf_counter()
        generator.append_tokens(np.array(prompts, np.int32))
        timeline: Timeline = []
        for _ in range(tokens):
            generator.generate_next_token()
            timeline.append((time.perf_counter() - asked, 1))
        return [timeline for _ in prompts]

    def join(self, prompts: Sequence[Sequence[int]], tokens: int, newcomers: Sequence[Sequence[int]]) -> list[float]:
        """Not supported: a running batch accepts no sequences."""
        raise NotImplementedError

    def answer(self, prompt: Sequence[int], tokens: int) -> Timeline:
        """See `Subject`."""
        generator = self._generator(1, len(prompt) + tokens, least=len(prompt))
        asked = time.perf_counter()
        generator.append_tokens(np.array([prompt], np.int32))
        timeline: Timeline = []
        while not generator.is_done():
            generator.generate_next_token()
            timeline.append((time.perf_counter() - asked, 1))
        return timeline

    def serve(self, arrivals: Sequence[Arrival]) -> list[Timeline]:
        """Not supported: a running batch accepts no sequences."""
        raise NotImplementedError

    def logits(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Run token by token: the graph returns only the last token's logits."""
        generator = self._generator(1, len(ids) + 1)
        rows = []
        for token in ids:
            generator.append_tokens(np.array([[token]], np.int32))
            rows.append(np.array(generator.get_logits(), np.float32).reshape(-1))
        return np.stack(rows)

    def close(self) -> None:
        """Do nothing: all is freed when the process ends."""

    def _generator(self, sequences: int, length: int, least: int | None = None) -> Any:
        parameters = og.GeneratorParams(self._model)
        # The minimum length prevents an end token from ending the completion.
        parameters.set_search_options(
            batch_size=sequences, max_length=length, min_length=length if least is None else least, do_sample=False
        )
        return og.Generator(self._model, parameters)


if __name__ == "__main__":
    work(OrtGenAiSubject)
