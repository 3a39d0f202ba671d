"""Runs a pooling model's graph with ONNX Runtime to measure it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from appliance.artefact.gate import check_graph
from appliance.artefact.manifest import GRAPH, Manifest
from appliance.onnx_runtime import ort

_WARNINGS_OFF = 3


class GraphRunner:
    """One graph in a session."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        """Open the graph after `check_graph`.

        Args:
            folder: contains exactly the files of `manifest`.
            manifest: the folder's manifest; it need not be on disk.

        Raises:
            IntegrityError, UnsafeFormatError, UnsupportedError: see `check_graph`.
        """
        check_graph(folder, manifest)
        options = ort.SessionOptions()
        options.log_severity_level = _WARNINGS_OFF
        self._session = ort.InferenceSession(folder / GRAPH, options, providers=["CPUExecutionProvider"])

    def rows(self, texts: Sequence[Sequence[int]], first_lengths: Sequence[int] = ()) -> npt.NDArray[np.float32]:
        """The rows of texts in one batch, float32 [texts, width]. The shorter texts are padded.

        Args:
            texts: token ids of each text or pair.
            first_lengths: the number of tokens before the second text of each pair; empty if the texts are no pairs.
        """
        lengths = np.array([len(ids) for ids in texts], np.int32)
        padded = np.zeros((len(texts), lengths.max()), np.int64)
        for row, ids in enumerate(texts):
            padded[row, : len(ids)] = ids
        inputs = {"input_ids": padded, "lengths": lengths}
        if first_lengths:
            inputs["first_lengths"] = np.array(first_lengths, np.int32)
        (rows,) = self._session.run(None, inputs)
        return np.asarray(rows)
