"""The embedding model of Triton's Python backend: passes texts to the embedder. This module computes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from answers import Answers
from reporter import Reporter

from appliance.engine.embedder import Embedder
from appliance.errors import ApplianceError, EngineError
from appliance.inference import error_text
from appliance.inference.config import EngineConfig
from appliance.inference.tensors import OPENS_STREAM

_FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL


class TritonPythonModel:
    """The class that the Python backend loads by this name."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the model. Triton rejects requests until this method returns.

        Raises:
            pb_utils.TritonModelException: the artefact or the settings are not usable; the message has the reason.
        """
        parameters = json.loads(args["model_config"])["parameters"]
        try:
            config = EngineConfig.from_json(parameters["engine"]["string_value"])
            self._embedder = Embedder.load(Path(parameters["artefact"]["string_value"]), config)
        except ApplianceError as error:
            raise pb_utils.TritonModelException(error_text.write(error)) from error
        self._answers = Answers(self._embedder.cancel)
        self._reporter = Reporter(self._embedder, args["model_name"], None)

    def execute(self, requests: list[Any]) -> None:
        """Submit requests to the embedder. Another thread sends the responses later."""
        for request in requests:
            sender = request.get_response_sender()
            try:
                if OPENS_STREAM in json.loads(request.parameters() or "{}"):
                    sender.send(flags=_FINAL)
                    continue
                texts, timeout_s = _read(request)
            except ApplianceError as error:
                sender.send(_error(error), flags=_FINAL)
                continue
            except Exception as error:  # noqa: BLE001 - otherwise Triton would send no final response
                # Do not log the error's message: it may quote the text.
                pb_utils.Logger.log_error(f"a request could not be read: {type(error).__name__}")
                sender.send(_error(EngineError(f"the request could not be read: {error}")), flags=_FINAL)
                continue
            self._answers.submit(self._embedder, texts, timeout_s, sender)

    def finalize(self) -> None:
        """Close the embedder, send the last responses, end the threads."""
        self._embedder.close()
        self._answers.close()
        self._reporter.close()


def _read(request: Any) -> tuple[list[list[int]], float]:
    """The texts' tokens, and the time limit in seconds.

    Raises:
        EngineError: the lengths are not those of the tokens.
    """
    ids = _input(request, "input_ids").tolist()
    lengths = _input(request, "lengths").tolist()
    if min(lengths, default=0) < 0 or sum(lengths) != len(ids):
        raise EngineError(f"the lengths of the texts are {sum(lengths)} tokens together, not {len(ids)}")
    ends = np.cumsum(lengths).tolist()
    texts = [ids[end - length : end] for end, length in zip(ends, lengths, strict=True)]
    return texts, float(_input(request, "timeout_s")[0])


def _input(request: Any, name: str) -> Any:
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    if tensor is None:
        raise EngineError(f"the request has no {name}")
    return tensor.as_numpy()


def _error(error: ApplianceError) -> Any:
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(error_text.write(error)))
