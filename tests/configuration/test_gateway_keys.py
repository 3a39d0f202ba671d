"""What each key of [access], [limits] and [principal_limits], and of [serve] for HTTP, changes for a client."""

from __future__ import annotations

import contextlib
import http.client
import logging
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

import grpc
import httpx
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from appliance.address import Address
from tests.auth.certificates import Site
from tests.configuration.rows import row
from tests.gateway.fake_triton import endless, words
from tests.gateway.harness import Harness
from tests.gateway.keys import Keys, bearer, metadata, status_of
from tests.gateway.slow_model import Slow, after_signs
from tests.waiting import LIMIT_S, wait_until

MODEL = "tiny-instruct"
# Four tokens, and two of the answer.
REQUEST = {"model": MODEL, "prompt": "Once"}
MIB = 1 << 20
Opener = Callable[[str], Harness]


def complete(box: Harness, key: str = "", **parameters: object) -> httpx.Response:
    headers = bearer(key) if key else {}
    return httpx.post(f"{box.url}/v1/completions", json={**REQUEST, **parameters}, headers=headers, timeout=LIMIT_S)


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["message"]


def refused(box: Harness, key: str = "") -> tuple[int, str]:
    """How a request is refused while answers do not end."""
    headers = bearer(key) if key else {}
    body = {**REQUEST, "stream": True}
    with httpx.stream("POST", f"{box.url}/v1/completions", json=body, headers=headers, timeout=LIMIT_S) as response:
        assert response.status_code != 200
        response.read()
        return refusal(response)


@contextlib.contextmanager
def streaming(box: Harness, key: str = "") -> Iterator[None]:
    """Hold an answer open."""
    box.triton.script = endless()
    headers = bearer(key) if key else {}
    body = {**REQUEST, "stream": True}
    with httpx.stream("POST", f"{box.url}/v1/completions", json=body, headers=headers, timeout=LIMIT_S) as response:
        assert response.status_code == 200
        yield


def connect(box: Harness, content: bytes = b"", *, receive_buffer: int = 0) -> socket.socket:
    address = Address.from_text(box.url.partition("//")[2])
    connection = socket.socket()
    connection.settimeout(LIMIT_S)
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.connect((address.host, address.port))
    connection.sendall(content)
    return connection


def is_quiet(connection: socket.socket) -> bool:
    """Whether nothing came, the end of the connection included."""
    return not select.select([connection], [], [], 0)[0]


@row("serve.page_history")
def test_a_site_forbids_the_page_to_keep_conversations(open_box: Opener):
    def permitted(toml: str) -> object:
        return httpx.get(f"{open_box(toml).url}/page/settings.json", timeout=LIMIT_S).json()["history"]

    assert permitted("") is True
    assert permitted("[serve]\npage_history = false") is False


# [access]


@row("access.require_keys")
def test_keys_are_demanded_before_there_is_one(open_box: Opener):
    assert complete(open_box("")).status_code == 200
    assert complete(open_box("[access]\nrequire_keys = true")).status_code == 401


def over_tls(site: Site, client: tuple[object, object] | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=site.ca_path)
    if client:
        context.load_cert_chain(*client)  # type: ignore[arg-type]
    return context


def server(site: Site) -> str:
    return (
        f'[access]\ncertificate = "{site.folder / "server.pem"}"\nprivate_key = "{site.folder / "server.key"}"\n'
        f'client_ca = "{site.ca_path}"\n'
    )


@row("access.certificate", "access.private_key")
def test_the_pair_is_read_from_where_it_lies(open_box: Opener, site: Site):
    box = open_box("\n".join(server(site).splitlines()[:3]))
    assert box.url.startswith("https://")
    assert httpx.get(f"{box.url}/v1/models", verify=over_tls(site), timeout=LIMIT_S).status_code == 200


@row("access.client_ca", "access.certificates")
def test_a_client_certificate_has_the_scopes_that_its_name_is_given(open_box: Opener, site: Site):
    box = open_box(f'{server(site)}certificates = {{ "line-3" = ["read"] }}')
    with httpx.Client(base_url=box.url, verify=over_tls(site, site.client("line-3")), timeout=LIMIT_S) as known:
        assert known.get("/v1/models").status_code == 200
        assert known.post("/v1/completions", json=REQUEST).status_code == 403
    with httpx.Client(base_url=box.url, verify=over_tls(site), timeout=LIMIT_S) as unknown:
        assert unknown.get("/v1/models").status_code == 401


@row("access.require_client_certificates")
def test_without_a_client_certificate_there_is_no_handshake(open_box: Opener, site: Site):
    box = open_box(f'{server(site)}require_client_certificates = true\ncertificates = {{ "*" = ["infer"] }}')
    with httpx.Client(base_url=box.url, verify=over_tls(site, site.client("line-3")), timeout=LIMIT_S) as known:
        assert known.post("/v1/completions", json=REQUEST).status_code == 200
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"{box.url}/v1/models", verify=over_tls(site), timeout=LIMIT_S)


# [limits]


@row("limits.max_requests")
def test_one_request_more_is_refused(open_box: Opener):
    box = open_box("[limits]\nmax_requests = 1")
    with streaming(box):
        status, message = refused(box)
    assert status == 429
    assert "1 requests" in message


@row("limits.requests_per_minute")
def test_one_request_a_minute(open_box: Opener):
    box = open_box("[limits]\nrequests_per_minute = 1")
    assert complete(box).status_code == 200
    status, message = refusal(complete(box))
    assert status == 429
    assert "the box's limit of 1" in message


@row("limits.tokens_per_minute")
def test_tokens_of_all_are_counted(open_box: Opener):
    box = open_box("[limits]\ntokens_per_minute = 5")
    assert complete(box).status_code == 200
    status, message = refusal(complete(box))
    assert status == 429
    assert "the box's limit of 5 tokens" in message


@row("limits.max_prompt_tokens")
def test_a_longer_prompt_is_refused(open_box: Opener):
    status, message = refusal(complete(open_box("[limits]\nmax_prompt_tokens = 3")))
    assert status == 400
    assert "max_prompt_tokens" in message


@row("serve.schema_retries")
def test_a_broken_answer_is_asked_for_again(open_box: Opener):
    schema = {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}
    body = {
        "model": "tiny-talker",
        "messages": [{"role": "user", "content": "Numbers"}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}},
        "temperature": 1,
    }
    for retries in (0, 2):
        box = open_box(f"[serve]\nschema_retries = {retries}")
        box.triton.script = words("[1, 1]")
        answer = httpx.post(f"{box.url}/v1/chat/completions", json=body, timeout=LIMIT_S)
        assert answer.headers["appliance-schema-broken"] == "response_format"
        assert len(box.triton.asked) == 1 + retries


@row("limits.max_body_bytes")
def test_a_larger_body_is_refused(open_box: Opener):
    padding = {"user": "x" * 2000}
    assert complete(open_box(""), **padding).status_code == 200
    assert complete(open_box("[limits]\nmax_body_bytes = 1024"), **padding).status_code == 413


def half_sent(declared: int, key: str = "") -> bytes:
    lines = ["POST /v1/tokenize HTTP/1.1", "Host: x", "Content-Type: application/json", f"Content-Length: {declared}"]
    return "\r\n".join([*lines, *([f"Authorization: Bearer {key}"] if key else []), "", ""]).encode()


def answer_of(connection: socket.socket) -> tuple[int, str]:
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    return answer.status, answer.read().decode()


def held_bytes(box: Harness) -> int:
    return sum(account.held_bytes for account in box.gateway._services.door.accounts.values())


@row("limits.max_held_bytes")
def test_bodies_of_all_share_their_room(open_box: Opener, keys: Keys):
    box = open_box(
        f"[limits]\nmax_held_bytes = {MIB}\nbody_timeout_s = 600\n[principal_limits]\nmax_held_bytes = {MIB}"
    )
    first, second = keys.make(), keys.make()
    with connect(box, half_sent(3 * MIB // 4, first) + b" " * (MIB // 2)):
        wait_until(lambda: held_bytes(box) >= MIB // 2)
        with connect(box, half_sent(3 * MIB // 4, second)) as late:
            status, said = answer_of(late)
    assert status == 429
    assert "the box's limit" in said


def stream_statuses(box: Harness, held: str, asking: str) -> grpc.StatusCode:
    """While one stream is open: how another one ends that is opened beside it."""
    over = threading.Event()

    def silent() -> Iterator[object]:
        over.wait()
        yield from ()

    accounts = box.gateway._services.door.accounts
    with grpc.insecure_channel(box.grpc_address) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        silence = stub.ModelStreamInfer(silent(), metadata=metadata(held))
        wait_until(lambda: any(account.streams for account in accounts.values()))
        found = status_of(stub.ModelStreamInfer(iter(()), metadata=metadata(asking)))[0]
        over.set()
        assert status_of(silence)[0] is grpc.StatusCode.OK
    return found


@row("limits.max_streams")
def test_streams_of_all_are_counted(open_box: Opener, keys: Keys):
    first, second = keys.make(), keys.make()
    box = open_box("[limits]\nmax_streams = 1")
    assert stream_statuses(box, first, second) is grpc.StatusCode.RESOURCE_EXHAUSTED


def cut_first(short: Harness, long: Harness, content: bytes) -> bytes:
    """What the first says to a client that dawdles, while the second says nothing to one that dawdles as long."""
    with connect(long, content) as patient, connect(short, content) as hurried:
        said = hurried.recv(65536)
        assert is_quiet(patient)
    return said


@row("limits.header_timeout_s")
def test_a_head_that_does_not_come_is_waited_for_as_long_as_is_said(open_box: Opener):
    short, long = (open_box(f"[limits]\nheader_timeout_s = {seconds}") for seconds in (0.1, 600))
    assert cut_first(short, long, b"GET /health/live HTTP/1.1\r\n") == b""


@row("limits.body_timeout_s")
def test_a_body_that_does_not_come_is_waited_for_as_long_as_is_said(open_box: Opener):
    short, long = (open_box(f"[limits]\nbody_timeout_s = {seconds}") for seconds in (0.1, 600))
    assert cut_first(short, long, half_sent(50) + b"{").startswith(b"HTTP/1.1 408")


@row("limits.idle_timeout_s")
def test_a_connection_stays_open_between_requests_as_long_as_is_said(open_box: Opener):
    asked = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
    short, long = (open_box(f"[limits]\nidle_timeout_s = {seconds}") for seconds in (0.1, 600))
    with connect(long, asked) as patient, connect(short, asked) as hurried:
        for connection in (patient, hurried):
            assert answer_of(connection)[0] == 200
        assert hurried.recv(1) == b""
        assert is_quiet(patient)


@row("limits.write_timeout_s")
def test_an_answer_may_be_left_unread_as_long_as_is_said(open_box: Opener):
    body = b'{"model": "tiny-instruct", "prompt": "a", "stream": true}'
    head = half_sent(len(body)).replace(b"/v1/tokenize", b"/v1/completions")
    short, long = (open_box(f"[limits]\nwrite_timeout_s = {seconds}") for seconds in (0.1, 600))
    for box in (short, long):
        box.triton.script = endless(text="word " * 20_000, pause_s=0.001)
    with connect(long, head + body, receive_buffer=4096), connect(short, head + body, receive_buffer=4096):
        wait_until(lambda: short.triton.asked and long.triton.asked)
        wait_until(lambda: short.triton.running == 0)
        assert long.triton.running == 1


@row("limits.max_connections")
def test_one_connection_too_many_closes_the_one_idle_longest(open_box: Opener):
    box = open_box("[limits]\nmax_connections = 8")
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connect(box)) for _ in range(9)]
        assert connections[0].recv(1) == b""
        assert all(is_quiet(connection) for connection in connections[1:])


# [principal_limits]


@row("principal_limits.max_requests")
def test_one_request_more_of_a_principal_is_refused(open_box: Opener, keys: Keys):
    first, second = keys.make(), keys.make()
    box = open_box("[principal_limits]\nmax_requests = 1")
    with streaming(box, first):
        status, message = refused(box, first)
        with streaming(box, second):
            pass
    assert status == 429
    assert "max_requests" in message


@row("principal_limits.requests_per_minute")
def test_one_request_a_minute_of_each_principal(open_box: Opener, keys: Keys):
    first, second = keys.make(), keys.make()
    box = open_box("[principal_limits]\nrequests_per_minute = 1")
    assert [complete(box, key).status_code for key in (first, second, first)] == [200, 200, 429]


@row("principal_limits.tokens_per_minute")
def test_tokens_of_each_principal_are_counted(open_box: Opener, keys: Keys):
    first, second = keys.make(), keys.make()
    box = open_box("[principal_limits]\ntokens_per_minute = 5")
    assert [complete(box, key).status_code for key in (first, second)] == [200, 200]
    status, message = refusal(complete(box, first))
    assert status == 429
    assert "tokens_per_minute" in message


@row("principal_limits.max_held_bytes")
def test_a_principal_s_bodies_have_room_of_their_own(open_box: Opener, keys: Keys):
    box = open_box(f"[limits]\nbody_timeout_s = 600\n[principal_limits]\nmax_held_bytes = {MIB}")
    first, second = keys.make(), keys.make()
    with connect(box, half_sent(3 * MIB // 4, first) + b" " * (MIB // 2)):
        wait_until(lambda: held_bytes(box) >= MIB // 2)
        with connect(box, half_sent(3 * MIB // 4, first)) as late:
            status, said = answer_of(late)
        assert complete(box, second).status_code == 200
    assert status == 429
    assert "max_held_bytes" in said


@row("principal_limits.max_streams")
def test_a_principal_s_streams_are_counted(open_box: Opener, keys: Keys):
    first, second = keys.make(), keys.make()
    box = open_box("[principal_limits]\nmax_streams = 1")
    assert stream_statuses(box, first, first) is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert stream_statuses(box, first, second) is grpc.StatusCode.OK


@row("serve.unknown_parameters")
def test_unknown_parameters_are_named_or_refused(open_box: Opener):
    assert complete(open_box(""), of_another_server=1).headers["appliance-ignored-parameters"] == "of_another_server"
    status, message = refusal(complete(open_box('[serve]\nunknown_parameters = "refuse"'), of_another_server=1))
    assert (status, "of_another_server" in message) == (400, True)


@row("serve.stream_ping_s")
def test_a_silent_stream_sends_comments(open_box: Opener):
    box = open_box("[serve]\nstream_ping_s = 0.1")
    box.triton.script = slow = Slow()
    body = {**REQUEST, "stream": True}
    with httpx.stream("POST", f"{box.url}/v1/completions", json=body, timeout=LIMIT_S) as response:
        lines = response.iter_lines()
        after_signs(lines, 3)
        slow.may_go_on = True
        list(lines)


@row("serve.cors_origins")
def test_a_page_of_a_listed_origin_gets_permission(open_box: Opener):
    origin = "https://app.example.com"
    for toml, permitted in (("", None), (f'[serve]\ncors_origins = ["{origin}"]', origin)):
        response = httpx.get(f"{open_box(toml).url}/v1/models", headers={"origin": origin}, timeout=LIMIT_S)
        assert response.headers.get("access-control-allow-origin") == permitted


@row("serve.hosts")
def test_a_listed_name_is_accepted_as_host(open_box: Opener, keys: Keys):
    headers = {"host": "llm.example.com", **bearer(keys.make("infer"))}
    for toml, status in (("", 421), ('[serve]\nhosts = ["llm.example.com"]', 200)):
        assert httpx.get(f"{open_box(toml).url}/v1/models", headers=headers, timeout=LIMIT_S).status_code == status


@row("serve.proxies")
def test_the_log_has_the_address_that_a_listed_proxy_names(
    open_box: Opener, keys: Keys, caplog: pytest.LogCaptureFixture
):
    headers = {"x-forwarded-for": "203.0.113.7", **bearer(keys.make("infer"))}
    caplog.set_level(logging.INFO, logger="appliance.gateway")
    for toml, client in (("", "127.0.0.1"), ('[serve]\nproxies = ["127.0.0.1"]', "203.0.113.7")):
        box = open_box(toml)
        caplog.clear()
        assert httpx.get(f"{box.url}/v1/models", headers=headers, timeout=LIMIT_S).status_code == 200
        wait_until(lambda: [one for one in caplog.records if one.message == "request"])
        (line,) = [one for one in caplog.records if one.message == "request"]
        assert line.fields["client"] == client  # type: ignore[attr-defined]


@row("serve.open_health")
def test_the_health_calls_of_kserve_need_no_key(open_box: Opener, keys: Keys):
    keys.make("infer")

    def is_live(toml: str) -> bool:
        with grpc.insecure_channel(open_box(toml).grpc_address) as channel:
            try:
                answer = service_pb2_grpc.GRPCInferenceServiceStub(channel).ServerLive(
                    service_pb2.ServerLiveRequest(), timeout=LIMIT_S
                )
            except grpc.RpcError:
                return False
            return bool(answer.live)

    assert not is_live("")
    assert is_live("[serve]\nopen_health = true")
