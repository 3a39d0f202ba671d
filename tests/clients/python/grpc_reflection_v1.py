"""A gRPC client without stubs: it asks the box for its schema by reflection, and calls what it finds."""

from __future__ import annotations

from contextlib import AbstractContextManager

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tests.clients.python.box import Box
from tests.clients.python.expect import raises

SERVICE = "appliance.v1.InferenceService"


class _WithKey(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor, grpc.StreamStreamClientInterceptor):
    """Sends the key with each call, those of reflection included."""

    def __init__(self, key: str) -> None:
        self._metadata = (("authorization", f"Bearer {key}"),)

    def _send(self, continuation, details, request):
        return continuation(details._replace(metadata=self._metadata), request)

    intercept_unary_unary = intercept_unary_stream = intercept_stream_stream = _send


def _channel(box: Box, key: str) -> AbstractContextManager[grpc.Channel]:
    return grpc.intercept_channel(grpc.insecure_channel(box.grpc), _WithKey(key))


def _ask(box: Box, method: str, key: str, **request):
    with _channel(box, key) as channel:
        pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        found = pool.FindServiceByName(SERVICE).FindMethodByName(method)
        made, answer = GetMessageClass(found.input_type), GetMessageClass(found.output_type)
        make = channel.unary_stream if found.server_streaming else channel.unary_unary
        call = make(f"/{SERVICE}/{method}", made.SerializeToString, answer.FromString)
        sent = call(made(**request))
        return list(sent) if found.server_streaming else sent


def models(box: Box) -> None:
    with _channel(box, box.key) as channel:
        services = ProtoReflectionDescriptorDatabase(channel).get_services()
    assert {SERVICE, "inference.GRPCInferenceService", "grpc.health.v1.Health"} <= set(services)
    assert box.model in str(_ask(box, "ListModels", box.key))


def stream(box: Box) -> None:
    turn = {"role": "user", "content": "What is the capital of France?"}
    asked = {"model": box.model, "messages": [turn], "sampling": {"temperature": 0, "max_tokens": 40}}
    pieces = _ask(box, "Chat", box.key, **asked)
    assert len(pieces) > 1
    assert "Paris" in "".join(piece.text for piece in pieces)


def tokens(box: Box) -> None:
    assert len(_ask(box, "Tokenize", box.key, model=box.model, text="one two three").token_ids) == 3


def errors(box: Box) -> None:
    with raises(grpc.RpcError):
        _ask(box, "ListModels", "wrong")
