"""SIGTERM: nothing new is taken, what runs may finish, the rest is told, and the exit code is 0."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading

import httpx
import openai
import pytest

from tests.gateway.fake_triton import endless, words
from tests.waiting import LIMIT_S, wait_until

MODEL = "tiny-instruct"
HELLO = [{"role": "user", "content": "Say hello"}]


class Running:
    """A gateway as its own process over the harness's fake Triton."""

    def __init__(self, harness, artefact, *, drain_s):
        command = [sys.executable, "-m", "appliance.gateway", "--triton", str(harness.triton.sockets)]
        command += [
            "--http",
            "127.0.0.1:0",
            "--grpc",
            "127.0.0.1:0",
            "--metrics",
            "127.0.0.1:0",
            "--artefact",
            str(artefact),
        ]
        self.program = subprocess.Popen([*command, "--drain", str(drain_s)], stderr=subprocess.PIPE, text=True)
        self.url = f"http://{json.loads(self.program.stderr.readline())['http']}"
        self.log = []
        self._reader = threading.Thread(target=lambda: self.log.extend(self.program.stderr))
        self._reader.start()

    def finish(self):
        self.program.wait(timeout=LIMIT_S)
        self._reader.join()
        self.program.stderr.close()
        return self.program.returncode, [json.loads(line) for line in self.log]


@pytest.fixture
def start(harness, artefacts):
    started = []

    def start(**options):
        running = Running(harness, artefacts[0], **options)
        started.append(running)
        wait_until(lambda: httpx.get(f"{running.url}/health/ready", timeout=LIMIT_S).status_code == 200)
        return running

    yield start
    for running in started:
        if running.program.poll() is None:
            running.program.kill()
            running.finish()


def test_a_running_stream_finishes_and_new_requests_are_refused(start, harness):
    running = start(drain_s=20)
    proceed = threading.Event()

    async def script(asked):
        async for one in words("first", " last")(asked):
            yield one
            await asyncio.to_thread(proceed.wait)

    harness.triton.script = script
    with (
        openai.OpenAI(base_url=f"{running.url}/v1", api_key="unused", max_retries=0) as client,
        httpx.Client(base_url=running.url, timeout=LIMIT_S) as idle,
    ):
        stream = client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
        next(stream)
        running.program.send_signal(signal.SIGTERM)
        wait_until(lambda: any("draining" in line for line in running.log))

        def is_refused():
            try:
                return idle.get("/health/ready").status_code == 503
            except httpx.TransportError:
                return True

        wait_until(is_refused)
        proceed.set()
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "first last"
    status, _ = running.finish()
    assert status == 0


def test_a_stream_that_does_not_finish_in_time_is_told(start, harness):
    running = start(drain_s=0.3)
    harness.triton.script = endless()
    with openai.OpenAI(base_url=f"{running.url}/v1", api_key="unused", max_retries=0) as client:
        stream = client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
        next(stream)
        running.program.send_signal(signal.SIGTERM)
        with pytest.raises(openai.APIError) as caught:
            list(stream)
        assert caught.value.code == "shutting_down"
    status, log = running.finish()
    assert status == 0
    assert log[-1]["event"] == "drained"
    wait_until(lambda: harness.triton.running == 0)


def test_an_idle_gateway_ends_at_once_and_never_logs_what_was_said(start, harness):
    running = start(drain_s=30)
    harness.triton.script = words("a secret answer")
    question = [{"role": "user", "content": "a secret question"}]
    with httpx.Client(base_url=running.url, headers={"x-request-id": "trace-7"}, timeout=LIMIT_S) as client:
        client.post("/v1/chat/completions", json={"model": MODEL, "messages": question})
        client.post("/v1/chat/completions", json={"model": MODEL, "messages": question, "n": "secret"})
    running.program.send_signal(signal.SIGINT)
    status, log = running.finish()
    assert status == 0
    answered, refused = (line for line in log if line["event"] == "request")
    assert (answered["status"], answered["request_id"], answered["completion_tokens"]) == (200, "trace-7", 1)
    assert (refused["status"], refused["error"]) == (400, "RequestError")
    assert "secret" not in json.dumps(log)


@pytest.mark.parametrize(
    ("changes", "status", "words_"),
    [
        ({"--http": "0.0.0.0:0"}, 2, "refusing to listen"),
        ({"--http": "nonsense"}, 2, "host:port"),
        ({"--artefact": "/nonexistent"}, 3, "manifest.json"),
        ({"--slots=1": "--slots=2"}, 2, "for 1 artefacts"),
    ],
)
def test_a_start_that_cannot_work_says_why(artefacts, changes, status, words_):
    options = {"--triton": str(artefacts[0]), "--http": "127.0.0.1:0", "--grpc": "127.0.0.1:0"}
    options["--metrics"] = "127.0.0.1:0"
    options |= {"--artefact": str(artefacts[0]), **changes}
    command = [sys.executable, "-m", "appliance.gateway", *(word for pair in options.items() for word in pair)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    assert ended.returncode == status
    assert words_ in ended.stderr


@pytest.mark.parametrize("listener", ["--http", "--grpc"])
def test_a_taken_port_is_named(harness, artefacts, listener):
    taken = {"--http": harness.url.removeprefix("http://"), "--grpc": harness.grpc_address}[listener]
    options = {"--triton": str(harness.triton.sockets), "--http": "127.0.0.1:0", "--grpc": "127.0.0.1:0"}
    options |= {"--metrics": "127.0.0.1:0", listener: taken}
    command = [sys.executable, "-m", "appliance.gateway", "--artefact", str(artefacts[0])]
    command += [word for pair in options.items() for word in pair]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    assert ended.returncode == 6
    assert taken in ended.stderr
