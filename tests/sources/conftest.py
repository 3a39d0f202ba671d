"""A box in a temporary folder, an index on loopback, and a reporter that remembers what it was told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from appliance.layout import Layout
from appliance.sources import PipSettings, Reporter
from tests.package_index import PackageIndex, PublishedModel, publish


@dataclass
class Told:
    lines: list[str] = field(default_factory=list)
    gained: dict[str, int] = field(default_factory=dict)

    @property
    def reporter(self) -> Reporter:
        return Reporter(progress=self._progress, say=self.lines.append)

    @contextmanager
    def _progress(self, description: str, total: int) -> Iterator[Callable[[int], None]]:
        self.gained[description] = 0

        def advance(more: int) -> None:
            self.gained[description] += more

        yield advance
        assert self.gained[description] <= total


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(root=tmp_path / "root", cache=tmp_path / "cache")


@pytest.fixture
def published() -> PublishedModel:
    return publish()


@pytest.fixture
def index(published: PublishedModel, monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with PackageIndex(dict(published.wheels)).serving() as serving:
        yield serving


@pytest.fixture
def settings(index: PackageIndex) -> PipSettings:
    return PipSettings((index.url,), timeout_s=10)
