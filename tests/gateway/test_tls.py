"""TLS on both front ends: keys over it, client certificates, and files that are replaced while the gateway runs."""

from __future__ import annotations

import logging
import socket
import ssl

import grpc
import httpx
import openai
import pytest
from cryptography import x509

from appliance.address import Address
from appliance.auth.api_key import ApiKey
from appliance.auth.policy import SERVER_KEY, Policy
from appliance.auth.scope import Scope
from appliance.errors import UsageError
from appliance.gateway.proto.appliance.v1 import inference_pb2 as pb
from appliance.gateway.proto.appliance.v1.inference_pb2_grpc import InferenceServiceStub
from tests.auth.certificates import Site
from tests.gateway.keys import Keys, bearer, id_of, metadata, status_of
from tests.refusals import refused
from tests.waiting import LIMIT_S

MODEL = "tiny-instruct"
REQUEST = {"model": MODEL, "prompt": "Once"}
INFER = frozenset({Scope.INFER})


@pytest.fixture
def site(tmp_path) -> Site:
    site = Site(tmp_path / "tls")
    site.server()
    return site


@pytest.fixture
def keys(tmp_path) -> Keys:
    return Keys(tmp_path / "keys" / "keys.json")


def web(box, site, client=None):
    context = ssl.create_default_context(cafile=site.ca_path)
    if client:
        context.load_cert_chain(*client)
    return httpx.Client(base_url=box.url, verify=context, timeout=LIMIT_S)


def rpc(box, site, client=None, key=None):
    pair = {}
    if client:
        pair = {"certificate_chain": client[0].read_bytes(), "private_key": client[1].read_bytes()}
    credentials = grpc.ssl_channel_credentials(site.ca_path.read_bytes(), **pair)
    with grpc.secure_channel(box.grpc_address, credentials) as channel:
        call = InferenceServiceStub(channel).Complete(
            pb.CompleteRequest(model=MODEL, text="Once"), metadata=metadata(key) if key else ()
        )
        return status_of(call)


def certificate_at(address: Address, site) -> x509.Certificate:
    """The certificate that a server shows at a new handshake."""
    context = ssl.create_default_context(cafile=site.ca_path)
    with (
        socket.create_connection((address.host, address.port), timeout=LIMIT_S) as connection,
        context.wrap_socket(connection, server_hostname="localhost") as secured,
    ):
        return x509.load_der_x509_certificate(secured.getpeercert(binary_form=True))


def test_the_openai_client_works_with_a_key_over_tls(make_harness, site, keys):
    key = keys.make()
    box = make_harness(policy=Policy(keys.file.path, tls=site.tls_files()))
    http = httpx.Client(verify=ssl.create_default_context(cafile=site.ca_path), timeout=LIMIT_S)
    with openai.OpenAI(base_url=f"{box.url}/v1", api_key=key, max_retries=0, http_client=http) as client:
        assert client.models.list().data[0].id == MODEL
        answer = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "Hi"}], stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in answer) == "Hello world"
    assert {asked.principal for asked in box.triton.asked} == {f"key:{id_of(key)}"}


def test_grpc_works_with_a_key_over_tls(make_harness, site, keys):
    key = keys.make()
    box = make_harness(policy=Policy(keys.file.path, tls=site.tls_files()))
    assert rpc(box, site, key=key) == (grpc.StatusCode.OK, "")
    assert rpc(box, site)[0] is grpc.StatusCode.UNAUTHENTICATED


def test_who_does_not_trust_the_ca_does_not_talk(make_harness, site, tmp_path):
    box = make_harness(policy=Policy(tls=site.tls_files()))
    other = Site(tmp_path / "other")
    with web(box, other) as client, pytest.raises(httpx.ConnectError, match="certificate verify failed"):
        client.get("/health/live")
    assert rpc(box, other)[0] is grpc.StatusCode.UNAVAILABLE


def test_nothing_is_answered_in_the_clear(make_harness, site):
    box = make_harness(policy=Policy(tls=site.tls_files()))
    with pytest.raises(httpx.HTTPError):
        httpx.get(box.url.replace("https", "http") + "/health/live", timeout=LIMIT_S)


def test_a_client_certificate_is_a_principal_with_the_configured_scopes(make_harness, site):
    certificates = {"line-3": INFER, "dashboard": frozenset({Scope.READ})}
    box = make_harness(policy=Policy(tls=site.tls_files(site.ca_path), certificates=certificates))
    with web(box, site, site.client("line-3")) as client:
        assert client.post("/v1/completions", json=REQUEST).status_code == 200
    with web(box, site, site.client("dashboard")) as client:
        assert client.get("/v1/models").status_code == 200
        assert client.post("/v1/completions", json=REQUEST).status_code == 403
    with web(box, site, site.client("stranger")) as client:
        response = client.get("/v1/models")
        assert response.status_code == 401
        assert "no name of the client's certificate" in response.json()["error"]["message"]
    assert {asked.principal for asked in box.triton.asked} == {"cert:line-3"}


def test_any_name_can_be_let_in(make_harness, site):
    box = make_harness(policy=Policy(tls=site.tls_files(site.ca_path), certificates={"*": INFER}))
    with web(box, site, site.client("line-7")) as client:
        assert client.post("/v1/completions", json=REQUEST).status_code == 200
    assert box.triton.asked[-1].principal == "cert:line-7"


def test_over_http_a_key_serves_where_certificates_are_asked_for(make_harness, site, keys):
    key = keys.make()
    files = site.tls_files(site.ca_path)
    box = make_harness(policy=Policy(keys.file.path, tls=files, certificates={"line-3": INFER}))
    with web(box, site) as client:
        assert client.get("/v1/models").status_code == 401
        assert client.get("/v1/models", headers={"x-api-key": key}).status_code == 200


def test_a_certificate_of_another_ca_ends_at_the_handshake(make_harness, site, tmp_path):
    box = make_harness(policy=Policy(tls=site.tls_files(site.ca_path), certificates={"*": INFER}))
    forged = Site(tmp_path / "other").client("line-3")
    with web(box, site, forged) as client, pytest.raises(httpx.HTTPError):
        client.get("/v1/models")


def test_where_certificates_are_demanded_nobody_comes_without_one(make_harness, site, tmp_path):
    files = site.tls_files(site.ca_path, requires_client=True)
    box = make_harness(policy=Policy(tls=files, certificates={"line-3": INFER}))
    with web(box, site) as client, pytest.raises(httpx.HTTPError):
        client.get("/health/live")
    assert rpc(box, site)[0] is grpc.StatusCode.UNAVAILABLE
    assert rpc(box, site, Site(tmp_path / "other").client("line-3"))[0] is grpc.StatusCode.UNAVAILABLE
    assert rpc(box, site, site.client("stranger"))[0] is grpc.StatusCode.UNAUTHENTICATED
    assert rpc(box, site, site.client("line-3"))[0] is grpc.StatusCode.OK
    assert box.triton.asked[-1].principal == "cert:line-3"


def test_a_replaced_certificate_is_shown_at_the_next_handshake_and_open_connections_go_on(make_harness, site):
    box = make_harness(policy=Policy(tls=site.tls_files()))
    addresses = (box.gateway.http.address, box.gateway.grpc.address)
    before = [certificate_at(address, site) for address in addresses]
    with web(box, site) as client:
        assert client.get("/health/live").status_code == 200
        new = x509.load_pem_x509_certificate(site.server("localhost", "127.0.0.1", "new.example").certificate)
        assert [certificate_at(address, site) for address in addresses] == [new, new]
        assert client.get("/health/live").status_code == 200
    assert new not in before
    assert rpc(box, site)[0] is grpc.StatusCode.OK


def test_a_replacement_that_cannot_be_used_cuts_nobody_off(make_harness, site, caplog):
    box = make_harness(policy=Policy(tls=site.tls_files()))
    addresses = (box.gateway.http.address, box.gateway.grpc.address)
    before = [certificate_at(address, site) for address in addresses]
    key_path = site.folder / SERVER_KEY
    good = key_path.read_bytes()
    for broken in (good[: len(good) // 2], site.client("x")[1].read_bytes()):
        key_path.write_bytes(broken)
        assert [certificate_at(address, site) for address in addresses] == before
    key_path.unlink()
    assert [certificate_at(address, site) for address in addresses] == before
    # Other loggers can report what an earlier test left behind.
    complaints = [one for one in caplog.records if one.levelno == logging.ERROR and one.name == "appliance.gateway"]
    assert complaints
    assert all("cannot be used" in one.fields["error"] for one in complaints)
    key_path.write_bytes(good)
    new = x509.load_pem_x509_certificate(site.server().certificate)
    assert [certificate_at(address, site) for address in addresses] == [new, new]


def test_a_replaced_authority_counts_for_the_next_client(make_harness, site, tmp_path):
    authority = tmp_path / "clients.pem"
    authority.write_bytes(site.ca_path.read_bytes())
    policy = Policy(tls=site.tls_files(authority), certificates={"*": INFER})
    box = make_harness(policy=policy)
    mine = site.client("line-3")
    with web(box, site, mine) as client:
        assert client.get("/v1/models").status_code == 200
    authority.write_bytes(Site(tmp_path / "other").ca_path.read_bytes())
    with web(box, site, mine) as client, pytest.raises(httpx.HTTPError):
        client.get("/v1/models")


def test_old_versions_of_tls_are_refused(make_harness, site):
    box = make_harness(policy=Policy(tls=site.tls_files()))
    # The first bytes of a TLS 1.1 hello: record version 3.1, hello version 3.2, no extension that offers a newer one.
    body = b"\x03\x02" + b"\x00" * 32 + b"\x00" + b"\x00\x02\x00\x35" + b"\x01\x00"
    hello = b"\x16\x03\x01" + (len(body) + 4).to_bytes(2, "big") + b"\x01" + len(body).to_bytes(3, "big") + body
    for address in (box.gateway.http.address, box.gateway.grpc.address):
        with socket.create_connection((address.host, address.port), timeout=LIMIT_S) as connection:
            connection.sendall(hello)
            # A hello of the server would be a record of the type 22 (RFC 8446 section 5.1).
            assert not connection.recv(64).startswith(b"\x16")


def test_a_certificate_that_cannot_be_used_is_refused_at_the_start(make_harness, site):
    (site.folder / SERVER_KEY).write_text("no key")
    with refused(UsageError, "server.pem"):
        make_harness(policy=Policy(tls=site.tls_files()))


def test_what_is_no_key_of_ours_does_not_outdo_a_certificate(make_harness, site):
    box = make_harness(policy=Policy(tls=site.tls_files(site.ca_path), certificates={"line-3": INFER}))
    with web(box, site, site.client("line-3")) as client:
        assert client.post("/v1/completions", json=REQUEST, headers=bearer("unused")).status_code == 200
        assert client.post("/v1/completions", json=REQUEST, headers=bearer(ApiKey.new().to_text())).status_code == 401


def test_where_clients_are_verified_no_session_of_tls_1_2_can_be_resumed(make_harness, site):
    box = make_harness(policy=Policy(tls=site.tls_files(site.ca_path), certificates={"line-3": INFER}))
    context = ssl.create_default_context(cafile=site.ca_path)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    address = box.gateway.http.address
    with socket.create_connection((address.host, address.port), timeout=LIMIT_S) as raw, pytest.raises(ssl.SSLError):
        context.wrap_socket(raw, server_hostname="localhost")
