"""A gateway with a model of every dialect, over a fake Triton."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from appliance.artefact.manifest import Conversation
from tests.gateway.chat import templates
from tests.gateway.fake_triton import FakeTriton
from tests.gateway.harness import Harness, LoopThread
from tests.gateway.tiny_artefact import write_artefact


@pytest.fixture(scope="session")
def talking_harness(loop_thread: LoopThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    root = tmp_path_factory.mktemp("dialects")
    models = {
        "tools": (templates.TOOLS, Conversation("hermes")),
        "thinker": (templates.THINKING, Conversation("hermes", thinking=True)),
        "coder": (templates.TOOLS, Conversation("qwen3-coder")),
        "speaker": (templates.TOOLS, Conversation()),
        "always-thinks": (templates.TOOLS, Conversation(thinking=True)),
    }
    artefacts = tuple(write_artefact(root / name, name, *how) for name, how in models.items())
    harness = Harness(loop_thread, artefacts, drain_s=0.2)
    harness.wait_until_ready()
    yield harness
    harness.close()


@pytest.fixture
def harness(talking_harness: Harness) -> Harness:
    """The gateway, its fake Triton as new."""
    talking_harness.triton.script = FakeTriton().script
    talking_harness.triton.asked.clear()
    return talking_harness
