"""NVIDIA's Triton client over HTTP: health, metadata, and the generate extension through its own connection."""

from __future__ import annotations

import json

import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from tests.clients.python.box import Box
from tests.clients.python.expect import raises


def headers(box: Box) -> dict[str, str]:
    return {"authorization": f"Bearer {box.key}"}


def client(box: Box) -> triton.InferenceServerClient:
    return triton.InferenceServerClient(box.triton)


def models(box: Box) -> None:
    with client(box) as connection:
        assert connection.is_server_live()
        assert connection.is_server_ready()
        assert connection.is_model_ready(box.model, headers=headers(box))
        assert connection.get_model_metadata(box.model, headers=headers(box))["name"] == box.model
        assert connection.get_model_config(box.model, headers=headers(box))["model_transaction_policy"]["decoupled"]


def chat(box: Box) -> None:
    body = {"text_input": "def add(a, b):\n    return", "parameters": {"temperature": 0, "max_tokens": 8}}
    with client(box) as connection:
        answer = connection._post(
            f"v2/models/{box.model}/generate",
            json.dumps(body).encode(),
            {**headers(box), "Content-Type": "application/json"},
            None,
        )
    assert answer.status_code == 200
    assert "a + b" in json.loads(answer.read())["text_output"]


def errors(box: Box) -> None:
    with client(box) as connection, raises(InferenceServerException):
        connection.get_model_metadata("no-such-model", headers=headers(box))
    with client(box) as connection, raises(InferenceServerException):
        connection.get_model_metadata(box.model)
