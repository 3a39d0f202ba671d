"""NVIDIA's Triton client over gRPC, as programs for Triton's vLLM backend use it."""

from __future__ import annotations

import json
import queue
from collections.abc import Iterator

import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from tests.clients.python.box import LIMIT_S, Box
from tests.clients.python.expect import raises


def client(box: Box) -> triton.InferenceServerClient:
    return triton.InferenceServerClient(box.grpc)


def headers(box: Box, key: str = "") -> dict[str, str]:
    return {"authorization": f"Bearer {key or box.key}"}


def tensor(name: str, value: object, kind: str) -> triton.InferInput:
    made = triton.InferInput(name, [1], kind)
    made.set_data_from_numpy(np.array([value], dtype=np.object_ if kind == "BYTES" else np.bool_))
    return made


def ask(box: Box, *, key: str = "", name: str = "", **parameters) -> Iterator[str]:
    """The pieces of one answer."""
    answers: queue.SimpleQueue = queue.SimpleQueue()
    inputs = [
        tensor("text_input", b"def add(a, b):\n    return", "BYTES"),
        tensor("stream", True, "BOOL"),
        tensor("sampling_parameters", json.dumps({"temperature": 0, "max_tokens": 8, **parameters}).encode(), "BYTES"),
    ]
    with client(box) as connection:
        connection.start_stream(lambda result, error: answers.put((result, error)), headers=headers(box, key))
        connection.async_stream_infer(name or box.model, inputs, enable_empty_final_response=True)
        try:
            while True:
                result, error = answers.get(timeout=LIMIT_S)
                if error:
                    raise error
                response = result.get_response()
                if response.outputs:
                    yield result.as_numpy("text_output")[0].decode()
                if response.parameters["triton_final_response"].bool_param:
                    return
        finally:
            connection.stop_stream(cancel_requests=True)


def models(box: Box) -> None:
    with client(box) as connection:
        assert connection.is_server_ready(headers=headers(box))
        assert connection.is_model_ready(box.model, headers=headers(box))
        assert connection.get_model_metadata(box.model, headers=headers(box)).name == box.model


def stream(box: Box) -> None:
    pieces = list(ask(box))
    assert len(pieces) > 1
    assert "a + b" in "".join(pieces)


def schema(box: Box) -> None:
    assert "".join(ask(box, structured_outputs={"choice": ["yes", "no"]})) in {"yes", "no"}


def cancel(box: Box) -> None:
    with box.cancels_one():
        pieces = ask(box, max_tokens=4000, ignore_eos=True)
        next(pieces)
        pieces.close()


def errors(box: Box) -> None:
    for wrong in [{"key": "wrong"}, {"name": "no-such-model"}, {"top_p": 2}]:
        with raises(InferenceServerException):
            list(ask(box, **wrong))
