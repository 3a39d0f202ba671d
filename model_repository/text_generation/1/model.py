"""The model of Triton's Python backend: passes requests to the engine. This module computes and decides nothing."""

from __future__ import annotations

import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import triton_python_backend_utils as pb_utils
import wire
from reporter import Reporter
from sender import Answer, Sender

from appliance.engine.engine import Engine
from appliance.errors import ApplianceError, EngineError
from appliance.inference import error_text
from appliance.inference.config import EngineConfig
from appliance.jetson import HeatWatch

_FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL


class TritonPythonModel:
    """The class that the Python backend loads by this name."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the engine. Triton rejects requests until this method returns.

        Raises:
            pb_utils.TritonModelException: the artefact or the settings are not usable; the message has the reason.
        """
        parameters = json.loads(args["model_config"])["parameters"]
        try:
            config = EngineConfig.from_json(parameters["engine"]["string_value"])
            self._heat = HeatWatch.open(config.slots)
            allowance = self._heat.allowed if self._heat else None
            self._engine = Engine.load(Path(parameters["artefact"]["string_value"]), config, allowance)
        except ApplianceError as error:
            raise pb_utils.TritonModelException(error_text.write(error)) from error
        self._sender = Sender(self._engine.cancel)
        self._reporter = Reporter(self._engine, args["model_name"], self._heat)
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="reader")
        self._numbers = itertools.count()

    def execute(self, requests: list[Any]) -> None:
        """Submit requests to the engine. The sender's thread sends the responses later."""
        for request in requests:
            sender = request.get_response_sender()
            try:
                # Clients choose any ids; the engine requires unique ids.
                request_id = f"{next(self._numbers)}:{request.request_id()}"
                asked = wire.Asked.of(request)
                if asked.opens_stream:
                    # Sending takes Triton some time, and the next request waits for this thread.
                    self._reader.submit(sender.send, flags=_FINAL)
                    continue
            except Exception as error:  # noqa: BLE001 - otherwise Triton would send no final response
                _refuse_unread(sender, error)
                continue
            if asked.is_long:
                # Read a long request in the reader's thread, so that later requests do not wait for the tokenizer.
                self._reader.submit(self._answer, asked, request_id, sender)
            else:
                self._answer(asked, request_id, sender)

    def finalize(self) -> None:
        """Close the engine, send the last responses, end the threads."""
        self._engine.close()
        # The closed engine rejects the requests that the reader still reads.
        self._reader.shutdown()
        self._sender.close()
        self._reporter.close()
        if self._heat:
            self._heat.close()

    def _answer(self, asked: wire.Asked, request_id: str, sender: Any) -> None:
        try:
            self._submit(asked, request_id, sender)
        except ApplianceError as error:
            sender.send(wire.error_response(error), flags=_FINAL)
        except Exception as error:  # noqa: BLE001 - otherwise Triton would send no final response
            _refuse_unread(sender, error)

    def _submit(self, asked: wire.Asked, request_id: str, sender: Any) -> None:
        most = self._engine.manifest.shape.max_characters
        wanted, answer_format = wire.read_request(asked, request_id, self._engine.tokenizer, most)
        state = wire.AnswerState(
            tokenizer=self._engine.tokenizer,
            prompt_tokens=len(wanted.prompt_ids),
            with_logprobs=wanted.sampling.logprobs is not None,
        )
        answer = Answer(request_id, sender, answer_format, state)
        sink = self._sender.open(answer)
        try:
            self._engine.submit(wanted, sink)
        except ApplianceError as error:
            self._sender.refuse(answer, error)


def _refuse_unread(sender: Any, error: Exception) -> None:
    # Do not log the error's message: it may quote the prompt.
    pb_utils.Logger.log_error(f"a request could not be read: {type(error).__name__}")
    sender.send(wire.error_response(EngineError(f"the request could not be read: {error}")), flags=_FINAL)
