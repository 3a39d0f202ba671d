"""The real `ollama` client."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import ollama
import pytest

from tests.gateway.harness import Harness
from tests.gateway.keys import bearer
from tests.waiting import LIMIT_S


@pytest.fixture
def make_llama() -> Iterator[Callable[..., ollama.Client]]:
    """Makes a client of a gateway at a URL, with or without a key."""
    made: list[ollama.Client] = []

    def make(url: str, key: str = "") -> ollama.Client:
        made.append(ollama.Client(host=url, timeout=LIMIT_S, headers=bearer(key) if key else {}))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def llama(harness: Harness, make_llama: Callable[..., ollama.Client]) -> ollama.Client:
    return make_llama(harness.url)
