"""A box that a network can reach, from nothing to an answer, with the commands that docs/access.md gives."""

from __future__ import annotations

import os
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
import tritonclient.grpc as triton

from appliance.address import Address
from appliance.errors import RequestError
from tests.running_box import RunningBox
from tests.tiny_artefact import TINY
from tests.waiting import LIMIT_S, wait_until

EVERYWHERE = ("--http", "0.0.0.0:0", "--grpc", "0.0.0.0:0", "--triton-http", "0.0.0.0:0")


def test_without_tls_and_keys_it_is_refused_with_the_way_out(tmp_path: Path):
    refused = RunningBox(tmp_path).call("up", "--http", "0.0.0.0:0")
    assert refused.returncode == 2
    assert "refusing to listen on 0.0.0.0:0: the box has no TLS and no authentication" in refused.stderr
    assert "run: appliance tls init NAME_OR_IP_OF_THIS_BOX; appliance key create NAME; or" in refused.stderr


@pytest.mark.parametrize("line", ['hosts = ["llm.example.com"]', 'proxies = ["10.0.0.2"]'])
def test_behind_a_proxy_without_keys_it_is_refused_with_the_way_out(tmp_path: Path, line: str):
    box = RunningBox(tmp_path)
    with (tmp_path / "appliance.toml").open("a") as file:
        file.write(f"{line}\n")
    refused = box.call("up")
    assert refused.returncode == 2
    assert "refusing to serve behind a proxy" in refused.stderr
    assert "appliance key create NAME" in refused.stderr


def test_the_settings_for_proxies_and_pages_reach_the_gateway(tmp_path: Path):
    box = RunningBox(tmp_path)
    lines = ['hosts = ["llm.example.com"]', 'cors_origins = ["https://app.example.com"]', "open_health = true"]
    with (tmp_path / "appliance.toml").open("a") as file:
        file.write("\n".join(lines))
    box.call("key", "create", "first")
    with box as running:
        headers = {"host": "llm.example.com", "origin": "https://app.example.com"}
        response = httpx.get(f"http://{running.state.http}/health", headers=headers, timeout=LIMIT_S)
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == "https://app.example.com"
        with triton.InferenceServerClient(running.state.grpc) as client:
            assert client.is_server_live()
            assert client.is_model_ready(TINY)


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBox]:
    prepared = RunningBox(tmp_path_factory.mktemp("network"), EVERYWHERE)
    assert prepared.call("tls", "init", "box.example").returncode == 0
    prepared.call("key", "create", "first")
    with prepared as running:
        yield running


@pytest.fixture
def key(box: RunningBox) -> str:
    return box.call("key", "create", "app").stdout.strip()


def client(box: RunningBox, key: str) -> openai.OpenAI:
    context = ssl.create_default_context(cafile=box.root / "tls" / "ca.pem")
    port = Address.from_text(box.state.http).port
    return openai.OpenAI(
        base_url=f"https://localhost:{port}/v1",
        api_key=key,
        max_retries=0,
        http_client=httpx.Client(verify=context, timeout=LIMIT_S),
    )


@pytest.mark.triton
def test_a_client_with_key_and_ca_is_answered_until_its_key_is_revoked(box: RunningBox, key: str):
    with client(box, key) as application:
        answer = application.completions.create(model=TINY, prompt="Once", max_tokens=3)
        assert answer.usage.completion_tokens == 3
        assert box.call("key", "revoke", key.split("_")[1]).returncode == 0
        with pytest.raises(openai.AuthenticationError):
            application.completions.create(model=TINY, prompt="Once", max_tokens=3)


@pytest.mark.triton
def test_tritons_http_api_speaks_tls_and_demands_a_key_too(box: RunningBox, key: str):
    context = ssl.create_default_context(cafile=box.root / "tls" / "ca.pem")
    url = f"https://localhost:{Address.from_text(box.state.triton_http or '').port}/v2/models/{TINY}/generate"
    with httpx.Client(verify=context, timeout=LIMIT_S) as application:
        assert application.post(url, json={"text_input": "Once"}).status_code == 401
        answer = application.post(url, json={"text_input": "Once"}, headers={"Authorization": f"Bearer {key}"})
    assert answer.json()["text_output"].startswith("Once")


@pytest.mark.triton
def test_chat_takes_its_key_from_the_environment(box: RunningBox, key: str):
    refused = box.call("chat", "hello")
    assert refused.returncode == RequestError.exit_code
    assert "APPLIANCE_API_KEY" in refused.stderr
    command = box.command("chat", "--max-tokens", "3", "hello")
    environment = {**os.environ, "APPLIANCE_API_KEY": key}
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr


@pytest.mark.triton
def test_status_is_healthy_without_any_key(box: RunningBox):
    assert box.status["healthy"]
    page = box.call("status").stdout
    assert f"https://{box.state.http}/v1" in page


@pytest.mark.triton
def test_it_says_https(box: RunningBox):
    wait_until(lambda: "Ctrl-C" in box.output.read_text())
    assert f"OpenAI API    https://{box.state.http}/v1" in box.output.read_text()


@pytest.mark.triton
def test_a_gateway_that_drains_on_request_is_started_again(box: RunningBox, key: str):
    before = box.state
    socket = str(box.root / "run" / "gateway.sock")
    with httpx.Client(transport=httpx.HTTPTransport(uds=socket), base_url="http://box", timeout=LIMIT_S) as operator:
        assert operator.post("/drain").status_code == 202
    wait_until(lambda: box.has_restarted(triton=before.triton_restarts, gateway=before.gateway_restarts + 1))
    with client(box, key) as application:
        assert application.completions.create(model=TINY, prompt="Once", max_tokens=1)
