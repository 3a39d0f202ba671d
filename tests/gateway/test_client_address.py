"""Whose address the log has: the header of a proxy counts only if the site lists the proxy."""

from __future__ import annotations

import io
import json
import logging

import grpc
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.auth.policy import Policy
from appliance.gateway import access_log
from appliance.gateway.access.client_address import ClientAddress
from appliance.gateway.proto.appliance.v1 import inference_pb2 as pb
from appliance.gateway.proto.appliance.v1.inference_pb2_grpc import InferenceServiceStub
from tests.gateway.keys import Keys, metadata
from tests.waiting import LIMIT_S, wait_until

MODEL = "tiny-instruct"
CLIENT, OTHER = "203.0.113.7", "198.51.100.9"


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("10.0.0.2", [], "10.0.0.2"),
        ("10.0.0.2", [CLIENT], CLIENT),
        ("::ffff:10.0.0.2", [CLIENT], CLIENT),
        ("fd00::5", [CLIENT], CLIENT),
        ("10.0.0.2", [f"{OTHER}, {CLIENT}"], CLIENT),
        ("10.0.0.2", [OTHER, CLIENT], CLIENT),
        ("10.0.0.2", [f"{CLIENT}, 10.0.0.3"], CLIENT),
        ("10.0.0.2", [f"{CLIENT}, 10.0.0.3", "fd00::9"], CLIENT),
        ("10.0.0.2", [f"{CLIENT}, unknown"], "10.0.0.2"),
        ("10.0.0.2", ["<script>"], "10.0.0.2"),
        ("10.0.0.2", [""], "10.0.0.2"),
        ("10.0.0.2", ["10.0.0.3"], "10.0.0.3"),
        ("10.1.0.2", [CLIENT], "10.1.0.2"),
        (OTHER, [CLIENT], OTHER),
        (OTHER, ["10.0.0.2"], OTHER),
        ("", [CLIENT], ""),
        ("unix:", [CLIENT], ""),
    ],
)
def test_only_what_a_listed_proxy_wrote_counts(peer, forwarded, found):
    clients = ClientAddress(["10.0.0.0/24", "fd00::/64"])
    assert clients.of(peer, forwarded) == found


@pytest.mark.parametrize(
    ("peer", "found"),
    [
        ("ipv4:10.0.0.2:4711", CLIENT),
        ("ipv6:[fd00::5]:4711", CLIENT),
        ("ipv6:%5Bfd00::5%5D:4711", CLIENT),
        (f"ipv4:{OTHER}:4711", OTHER),
        ("unix:", ""),
        ("unix:/run/a:b", ""),
        ("", ""),
    ],
)
def test_a_peer_of_grpc_is_read(peer, found):
    assert ClientAddress(["10.0.0.0/24", "fd00::/64"]).of_grpc(peer, [CLIENT]) == found


@given(st.text(), st.lists(st.text()))
def test_no_other_text_reaches_the_log(peer, forwarded):
    clients = ClientAddress(["10.0.0.2", "fe80::1"])
    for found in (clients.of(peer, forwarded), clients.of("10.0.0.2", [*forwarded, f"fe80::1%{peer}"])):
        assert set(found) <= set("0123456789abcdef.:")


@pytest.fixture
def log(caplog):
    """The lines of requests, as the gateway's process writes them."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(access_log.JsonFormatter())
    caplog.set_level(logging.INFO, logger="appliance.gateway")
    root = logging.getLogger()
    root.addHandler(handler)
    yield lambda: [one for one in map(json.loads, stream.getvalue().splitlines()) if one["event"] == "request"]
    root.removeHandler(handler)


@pytest.mark.parametrize(("proxies", "found"), [((), "127.0.0.1"), (("127.0.0.1",), CLIENT)])
def test_the_log_names_the_client_of_every_request(make_harness, tmp_path, log, proxies, found):
    keys = Keys(tmp_path / "keys.json")
    keys.make("infer")
    box = make_harness(policy=Policy(keys=keys.file.path), proxies=proxies)
    httpx.get(f"{box.url}/v1/models", headers={"x-forwarded-for": CLIENT}, timeout=LIMIT_S)
    with grpc.insecure_channel(box.grpc_address) as channel, pytest.raises(grpc.RpcError):
        list(
            InferenceServiceStub(channel).Complete(
                pb.CompleteRequest(model=MODEL, text="a"), metadata=(("x-forwarded-for", CLIENT),)
            )
        )
    wait_until(lambda: len(log()) == 2)
    # Both were rejected for want of a key: the operator sees from where.
    assert [(one["client"], one["error"]) for one in log()] == [(found, "UnauthenticatedError")] * 2


def test_an_answered_call_is_logged_with_its_client(make_harness, tmp_path, log):
    keys = Keys(tmp_path / "keys.json")
    key = keys.make()
    box = make_harness(policy=Policy(keys=keys.file.path), proxies=("127.0.0.1",))
    with grpc.insecure_channel(box.grpc_address) as channel:
        call = InferenceServiceStub(channel).Complete(
            pb.CompleteRequest(model=MODEL, text="a"), metadata=(("x-forwarded-for", CLIENT), *metadata(key))
        )
        list(call)
    wait_until(log)
    assert log()[0]["client"] == CLIENT
