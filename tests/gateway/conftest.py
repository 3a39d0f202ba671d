"""What the gateway's tests share: see `harness.py`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest

from appliance.artefact.manifest import Conversation
from tests.gateway.chat import templates
from tests.gateway.fake_triton import FakeTriton
from tests.gateway.harness import Harness, LoopThread
from tests.gateway.tiny_artefact import write_artefact
from tests.waiting import LIMIT_S

# Each client reads the certificates of all authorities, which takes longer than most requests here: once is enough.
for library in (httpx, httpx2):
    transport = library._transports.default
    transport.create_ssl_context = functools.cache(transport.create_ssl_context)


@pytest.fixture(scope="session")
def loop_thread() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    thread.close()


@pytest.fixture(scope="session")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    root = tmp_path_factory.mktemp("artefacts")
    return (
        write_artefact(root / "instruct"),
        write_artefact(root / "base", model="tiny-base", template=None),
        write_artefact(root / "talker", "tiny-talker", templates.THINKING, Conversation("hermes", thinking=True)),
    )


@pytest.fixture(scope="session")
def shared_harness(loop_thread: LoopThread, artefacts: tuple[Path, ...]) -> Iterator[Harness]:
    harness = Harness(loop_thread, artefacts, drain_s=0.2)
    harness.wait_until_ready()
    yield harness
    harness.close()


@pytest.fixture
def harness(shared_harness: Harness) -> Harness:
    """The shared gateway, its fake Triton as new."""
    fresh = FakeTriton()
    shared_harness.triton.script = fresh.script
    shared_harness.triton.infer = fresh.infer
    shared_harness.triton.asked.clear()
    return shared_harness


@pytest.fixture
def make_harness(loop_thread: LoopThread, artefacts: tuple[Path, ...]) -> Iterator[Callable[..., Harness]]:
    """Makes a gateway of the test's own, with its own limits."""
    made: list[Harness] = []

    def make(**limits: Any) -> Harness:
        harness = Harness(loop_thread, artefacts, **{"drain_s": 0.2, **limits})
        made.append(harness)
        harness.wait_until_ready()
        return harness

    yield make
    for harness in made:
        harness.close()


@pytest.fixture
def client(harness: Harness) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{harness.url}/v1", api_key="unused", max_retries=0) as client:
        yield client


@pytest.fixture
def http(harness: Harness) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=harness.url, timeout=LIMIT_S) as client:
        yield client


@pytest.fixture
def claude(harness: Harness) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=harness.url, api_key="unused", max_retries=0) as client:
        yield client
