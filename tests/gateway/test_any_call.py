"""Whatever bytes come over gRPC or in a header, they are read or refused; never anything else."""

from __future__ import annotations

import contextlib

from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.artefact.manifest import Generation
from appliance.auth.api_key import ApiKey
from appliance.errors import RequestError
from appliance.gateway.access.credentials import key_in
from appliance.gateway.access_log import request_id
from appliance.gateway.http.known_hosts import host_of, is_private
from appliance.gateway.inference_v1 import messages as grpc_messages
from appliance.gateway.kserve.request import PassedRequest, error_text
from appliance.gateway.proto.appliance.v1 import inference_pb2 as pb

DEFAULTS = Generation(eos_token_ids=())
# Tags and lengths of small messages, so that many of them parse.
WIRE = st.lists(st.binary(max_size=12) | st.sampled_from([b"\x0a\x01m", b"\x12\x02\x0a\x00", b"\x1a\x00"]), max_size=8)
TEXTS = st.text(max_size=40)


@settings(max_examples=300)
@given(WIRE.map(b"".join))
def test_any_bytes_are_a_call_of_ours_or_refused(content: bytes):
    with contextlib.suppress(RequestError, DecodeError):
        asked = pb.ChatRequest.FromString(content)
        grpc_messages.settings(asked.sampling, DEFAULTS)
        assert grpc_messages.conversation(asked)
    with contextlib.suppress(RequestError, DecodeError):
        grpc_messages.check_complete(pb.CompleteRequest.FromString(content))
    with contextlib.suppress(RequestError, DecodeError):
        grpc_messages.check_tokenize(pb.TokenizeRequest.FromString(content))
    with contextlib.suppress(RequestError):
        PassedRequest.from_bytes(content)


@given(st.binary(max_size=60))
def test_any_bytes_of_triton_have_an_error_or_none(content: bytes):
    with contextlib.suppress(DecodeError):
        assert error_text(content) is None or content.startswith(b"\x0a")


@given(TEXTS, TEXTS, TEXTS)
def test_any_header_is_a_key_a_host_and_an_id_or_none(authorization: str, key: str, host: str):
    found = key_in([("authorization", authorization), ("x-api-key", key)])
    assert found is None or isinstance(ApiKey.from_text(found), ApiKey | None)
    assert is_private(host_of(host)) in {True, False}
    assert request_id(host).isascii()
