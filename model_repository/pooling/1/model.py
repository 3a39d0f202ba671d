"""The pooling model of Triton's Python backend: passes texts or pairs to the engine. This module computes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from answers import Answers, Question
from reporter import Reporter

from appliance.engine.pooling_engine import PoolingEngine
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
            self._engine = PoolingEngine.load(Path(parameters["artefact"]["string_value"]), config)
        except ApplianceError as error:
            raise pb_utils.TritonModelException(error_text.write(error)) from error
        self._answers = Answers(self._engine.output, self._engine.cancel)
        self._reporter = Reporter(self._engine, args["model_name"], None)

    def execute(self, requests: list[Any]) -> None:
        """Submit requests to the engine. Another thread sends the responses later."""
        for request in requests:
            sender = request.get_response_sender()
            try:
                if OPENS_STREAM in json.loads(request.parameters() or "{}"):
                    sender.send(flags=_FINAL)
                    continue
                asked = _read(request)
            except ApplianceError as error:
                sender.send(_error(error), flags=_FINAL)
                continue
            except Exception as error:  # noqa: BLE001 - otherwise Triton would send no final response
                # Do not log the error's message: it may quote the text.
                pb_utils.Logger.log_error(f"a request could not be read: {type(error).__name__}")
                sender.send(_error(EngineError(f"the request could not be read: {error}")), flags=_FINAL)
                continue
            self._answers.submit(self._engine, asked, sender)

    def finalize(self) -> None:
        """Close the engine, send the last responses, end the threads."""
        self._engine.close()
        self._answers.close()
        self._reporter.close()


def _read(request: Any) -> Question:
    """Read the tensors of a request.

    Raises:
        EngineError: a tensor is missing, or the lengths are not those of the tokens.
    """
    ids = _input(request, "input_ids")
    lengths = _input(request, "lengths")
    if min(lengths, default=0) < 0 or sum(lengths) != len(ids):
        raise EngineError(f"the lengths of the texts are {sum(lengths)} tokens together, not {len(ids)}")
    ends = np.cumsum(lengths).tolist()
    texts = [ids[end - length : end] for end, length in zip(ends, lengths, strict=True)]
    is_pairs = pb_utils.get_input_tensor_by_name(request, "first_lengths") is not None
    return Question(texts, _input(request, "first_lengths") if is_pairs else (), _input(request, "timeout_s")[0])


def _input(request: Any, name: str) -> Any:
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    if tensor is None:
        raise EngineError(f"the request has no {name}")
    return tensor.as_numpy().tolist()


def _error(error: ApplianceError) -> Any:
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(error_text.write(error)))
