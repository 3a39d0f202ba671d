"""Boxes whose configuration is written as an operator writes it: as text of `appliance.toml`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from appliance.config import Config
from appliance.gateway.__main__ import _settings
from appliance.gateway.settings import Settings
from appliance.layout import Layout
from tests.auth.certificates import Site
from tests.gateway.conftest import artefacts, loop_thread, make_harness  # noqa: F401 - fixtures
from tests.gateway.harness import Harness
from tests.gateway.keys import Keys

# The harness has its own: a fake Triton, addresses that the kernel chooses, a short drain, no socket of the operator's.
_OF_THE_HARNESS = {"triton", "http", "grpc", "metrics", "triton_http", "models", "drain_s", "socket"}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path, tmp_path)


@pytest.fixture
def keys(layout: Layout) -> Keys:
    return Keys(layout.keys)


@pytest.fixture
def site(layout: Layout) -> Site:
    """The site's CA, and a pair for the server that lies elsewhere than a box looks for it by itself."""
    site = Site(layout.root / "elsewhere")
    site.server()
    return site


@pytest.fixture
def open_box(layout: Layout, make_harness: Callable[..., Harness]) -> Callable[[str], Harness]:  # noqa: F811
    """Opens a gateway that is told its configuration as the supervisor tells it: as JSON on its command line."""

    def open_it(toml: str) -> Harness:
        config = Config.from_text(toml, "appliance.toml").to_json("serve", "access", "limits", "principal_limits")
        nowhere = [f"--{name}=127.0.0.1:0" for name in ("http", "grpc", "metrics")]
        told = _settings(["--triton=.", *nowhere, "--artefact=.", f"--root={layout.root}", f"--config={config}"])
        names = {one.name for one in fields(Settings)} - _OF_THE_HARNESS
        return make_harness(**{name: getattr(told, name) for name in names})

    return open_it
