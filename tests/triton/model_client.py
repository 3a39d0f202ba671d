"""A plain client of a box's Triton, and what it reads of the model's answers."""

import json
import queue
import urllib.request
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as client
from tritonclient.utils import InferenceServerException

from tests.running_box import RunningBox
from tests.tiny_artefact import TINY
from tests.waiting import LIMIT_S

GREEDY = {"temperature": 0, "max_tokens": 8, "ignore_eos": True}
PROMPT = "Once upon a time"


def tensor(name: str, value: Any) -> client.InferInput:
    if isinstance(value, bool):
        array, data_type = np.array([value]), "BOOL"
    elif isinstance(value, (str, bytes, dict)):
        text = json.dumps(value) if isinstance(value, dict) else value
        array, data_type = np.array([text if isinstance(text, bytes) else text.encode()], dtype=np.object_), "BYTES"
    else:
        array, data_type = np.array(value, dtype=np.int32), "INT32"
    made = client.InferInput(name, array.shape, data_type)
    made.set_data_from_numpy(array)
    return made


def ask(box: RunningBox, parameters: dict[str, Any] | None = None, **inputs: Any) -> list[client.InferResult]:
    """Send one request as a plain tritonclient does; returns all its responses, the empty last one left out."""
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
    with client.InferenceServerClient(box.triton) as triton:
        triton.start_stream(lambda result, error: answers.put((result, error)))
        made = [tensor(name, value) for name, value in inputs.items()]
        triton.async_stream_infer(TINY, made, parameters=parameters, enable_empty_final_response=True)
        found = []
        while True:
            result, error = answers.get(timeout=LIMIT_S)
            if error:
                raise error
            found.append(result)
            if result.get_response().parameters["triton_final_response"].bool_param:
                return [answer for answer in found if answer.get_response().outputs]


def refusal(box: RunningBox, parameters: dict[str, Any] | None = None, **inputs: Any) -> str:
    with pytest.raises(InferenceServerException) as caught:
        ask(box, parameters, **inputs)
    return str(caught.value.message())


def text_of(answers: list[client.InferResult]) -> str:
    return b"".join(piece for answer in answers for piece in answer.as_numpy("text_output")).decode()


def value_of(answer: client.InferResult, name: str) -> Any:
    value = answer.as_numpy(name)[0]
    return value.decode() if isinstance(value, bytes) else value


def post(box: RunningBox, path: str, body: dict[str, Any]) -> str:
    request = urllib.request.Request(
        f"http://{box.state.triton_http}/{path}",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:  # noqa: S310 - it is our own box
        return str(answer.read().decode())
