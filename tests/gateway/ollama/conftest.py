"""The real `ollama` client."""

from __future__ import annotations

from collections.abc import Iterator

import ollama
import pytest

from tests.gateway.harness import Harness
from tests.waiting import LIMIT_S


@pytest.fixture
def llama(harness: Harness) -> Iterator[ollama.Client]:
    client = ollama.Client(host=harness.url, timeout=LIMIT_S)
    yield client
    client.close()
