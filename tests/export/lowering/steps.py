"""Steps of either lowering's graph over the cache of several slots, as the engine runs them: on views, in place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from onnxruntime.capi.onnxruntime_pybind11_state import Fail

from appliance.artefact.manifest import GRAPH
from appliance.onnx_runtime import ort
from tests.checkpoints import KV_HEADS, head_dim
from tests.export.lowering.graphs import LAYERS

Floats = npt.NDArray[np.float32]


class Steps:
    """One graph in 32-bit floats and the cache that its steps fill."""

    def __init__(self, graph: Path, model_type: str, slots: int, capacity: int, *, in_place: bool = True) -> None:
        """Open the graph; a test is skipped, saying why, where this ONNX Runtime does not know its opset.

        Args:
            graph: the folder.
            model_type: of the tiny checkpoint.
            slots: sequences.
            capacity: rows of the cache of each.
            in_place: let the cache outputs be the inputs' memory; without it they are copied back.
        """
        options = ort.SessionOptions()
        # ONNX Runtime would quantise what is multiplied by dequantised weights as well.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        try:
            self._session = ort.InferenceSession(graph / GRAPH, options, providers=["CPUExecutionProvider"])
        except Fail as error:
            if "is under development" in str(error):
                pytest.skip(f"ONNX Runtime {ort.__version__} does not know the graph's opset: {str(error)[-60:]}")
            raise
        self._is_for_tensorrt = any(given.name == "write_indices" for given in self._session.get_inputs())
        self._in_place = in_place
        shape = (slots, KV_HEADS, capacity, head_dim(model_type))
        # What is left of an earlier sequence must not show.
        self.cache = {
            f"past_key_values.{layer}.{part}": np.full(shape, 9, np.float32)
            for layer in range(LAYERS)
            for part in ("key", "value")
        }

    def run(
        self, ids: Sequence[Sequence[int]], held: Sequence[int], slots: slice, rows: Sequence[int] | None = None
    ) -> Floats:
        """Run rows of equally many tokens on a view of the slots, each of which holds `held` rows before.

        Returns:
            Logits of `rows`, or of all tokens.
        """
        given: dict[str, npt.NDArray[np.generic]] = {
            "input_ids": np.array(ids, np.int64),
            "logits_rows": np.array(range(np.size(ids)) if rows is None else rows, np.int64),
        }
        if self._is_for_tensorrt:
            given["write_indices"] = np.array(held, np.int64)
        else:
            totals = np.array(held, np.int32) + len(ids[0])
            given["seqlens_k"], given["total_sequence_length"] = totals - 1, totals.max()
        binding = self._session.io_binding()
        for name, value in given.items():
            binding.bind_cpu_input(name, np.asarray(value))
        binding.bind_output("logits", "cpu")
        for name, past in self.cache.items():
            view = ort.OrtValue.ortvalue_from_numpy(past[slots])
            binding.bind_ortvalue_input(name, view)
            present = name.replace("past_key_values", "present")
            if self._in_place:
                binding.bind_ortvalue_output(present, view)
            else:
                binding.bind_output(present, "cpu")
        self._session.run_with_iobinding(binding)
        logits, *presents = (value.numpy() for value in binding.get_outputs())
        if not self._in_place:
            for past, present in zip(self.cache.values(), presents, strict=True):
                past[slots] = present
        found: Floats = logits
        return found

    def greedy(self, prompt: Sequence[int], count: int) -> list[int]:
        """Continue a prompt in the first slot."""
        added = [int(self.run([prompt], [0], slice(0, 1))[-1].argmax())]
        while len(added) < count:
            held = len(prompt) + len(added) - 1
            added.append(int(self.run([added[-1:]], [held], slice(0, 1))[0].argmax()))
        return added
